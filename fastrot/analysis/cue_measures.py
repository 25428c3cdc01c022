"""Numbers of single frames that a turned frame changes: detail along each axis, and steps at the borders.

They need no network and no training. ``cue_ledger`` compares them over the videos of a store.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

CHANNELS = ("Y", "Cb", "Cr")
ORDERS = ("gradient", "second difference")
SIDES = ("top", "bottom", "left", "right")

MARGIN = 2
"""Outermost lines that are not part of the detail, so that a line at the border is no detail."""
LEAST_SIZE = 2 * MARGIN + 4

# Rows: Y, Cb, Cr of JPEG (ITU-T T.871) from R, G, B, without the offset of 128.
_YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)


def colour_planes(frames: NDArray[np.uint8]) -> Floats:
    """Return luma and the two colour differences of RGB frames, (N, H, W, 3) to (N, 3, H, W), unrounded."""
    planes: Floats = np.einsum("cr,nhwr->nchw", _YCBCR, frames.astype(np.float32), optimize=True)
    return planes


def detail(planes: Floats) -> Floats:
    """Return the energy of detail along each axis, without the outermost lines.

    Args:
        planes: (N, C, H, W) in grey levels, at least ``LEAST_SIZE`` pixels high and wide.

    Returns:
        (N, C, 2, 2): the mean square of the first and the second differences of neighbours (``ORDERS``),
        horizontal and vertical, in squared grey levels.
    """
    inner = planes[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    energies = [
        np.square(np.diff(inner, n=order, axis=axis)).mean(axis=(-2, -1))
        for order in (1, 2)
        for axis in (-1, -2)
    ]
    stacked: Floats = np.stack(energies, axis=-1).reshape(*planes.shape[:2], 2, 2)
    return stacked


def border_steps(planes: Floats) -> Floats:
    """Return how far the outermost line at each side is from the line next to it, and lines inside.

    Args:
        planes: (N, C, H, W) in grey levels, at least ``LEAST_SIZE`` pixels high and wide.

    Returns:
        (N, C, 4, 2): the mean absolute difference of both outermost lines at each side (``SIDES``), and that
        of neighbouring lines inside along the same axis, in grey levels.
    """
    down, across = np.abs(np.diff(planes, axis=-2)), np.abs(np.diff(planes, axis=-1))
    steps = [
        down[..., 0, :].mean(axis=-1),
        down[..., -1, :].mean(axis=-1),
        across[..., 0].mean(axis=-1),
        across[..., -1].mean(axis=-1),
    ]
    rows = down[..., MARGIN:-MARGIN, :].mean(axis=(-2, -1))
    columns = across[..., MARGIN:-MARGIN].mean(axis=(-2, -1))
    inside = [rows, rows, columns, columns]
    stacked: Floats = np.stack([np.stack(steps, axis=-1), np.stack(inside, axis=-1)], axis=-1)
    return stacked
