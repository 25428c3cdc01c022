"""The kernels of the first convolution as one picture (section 4.10, figure 5)."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

GAP = 1  # pixels between slices; twice as many between kernels
PAPER = 255


def kernel_sheet(weight: Tensor, columns: int = 0) -> NDArray[np.uint8]:
    """Draw every kernel as a strip of its slices in time, with the strips in ``columns``.

    Each kernel is scaled to 0..255 by its own minimum and maximum over all slices and channels.

    Args:
        weight: (K, 3, T, H, W) weights of the first convolution.
        columns: Strips next to each other; 0 chooses automatically.

    Returns:
        (rows, width, 3) uint8 RGB with one pixel per spatial weight.
    """
    kernels = weight.detach().float().cpu().numpy().transpose(0, 2, 3, 4, 1)  # K, T, H, W, RGB
    count, times, height, width, _ = kernels.shape
    low = kernels.min(axis=(1, 2, 3, 4), keepdims=True)
    spread = np.ptp(kernels, axis=(1, 2, 3, 4), keepdims=True)
    scaled = (kernels - low) / np.where(spread > 0, spread, 1)
    pixels = np.rint(255 * scaled).astype(np.uint8)
    # A strip is about eight times as wide as high, so this makes the sheet roughly square.
    columns = min(columns or max(1, round(count**0.5 / 2)), count)
    rows = -(-count // columns)
    strip = times * (width + GAP) + GAP
    line = height + 2 * GAP
    sheet = np.full((rows * line, columns * strip, 3), PAPER, dtype=np.uint8)
    for number, kernel in enumerate(pixels):
        top, left = number // columns * line, number % columns * strip
        for time, picture in enumerate(kernel):
            at = left + time * (width + GAP)
            sheet[top : top + height, at : at + width] = picture
    return sheet
