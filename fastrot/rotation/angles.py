"""Rotations other than quarter turns: in 45 degree steps, and by any angle (section 4.6).

Such a rotation resamples the frame, and resampling leaves artefacts from which a network could predict
the angle. Every angle, including 0, therefore takes the same steps: an isotropic Gaussian is sampled at
the rotated positions, and the result is rounded to whole grey levels.

The Gaussian removes the corners of the spectrum, which would rotate with the frame. The remaining trace of
the pixel grid is strongest at half the sampling frequency, where the spectrum meets its alias (in phase
at 0 degrees, out of phase at 45). There the Gaussian leaves exp(-pi^2 sigma^2 / 2) = 0.0008 of the
amplitude, which is below the white noise that rounding adds equally to every angle. Bilinear
interpolation would not hide it: it keeps 0 degrees sharp and blurs 45.
"""

import functools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fastrot.rotation.pixels import Pixels

SIGMA = 1.2
"""Standard deviation of the Gaussian, in pixels."""

RADIUS = 5
"""Radius in pixels at which the Gaussian is truncated; beyond it, it is below 0.0002 of its peak."""


def inscribed_size(size: int) -> int:
    """Return the side of the centre patch that stays within a frame of ``size`` pixels at every angle.

    That is (size - 2 * RADIUS) / sqrt(2), rounded down: 72 of 112. The patch is cut from every
    rotation, so that there are no empty corners (the paper does the same without stating the size).

    Raises:
        ValueError: The frame is too small.
    """
    patch = math.floor((size - 2 * RADIUS) / math.sqrt(2))
    if patch < 1:
        raise ValueError(f"frames of {size} pixels are too small for rotations by any angle")
    return patch


def rotate_all(clips: Tensor, degrees: Sequence[float], pixels: Pixels) -> Tensor:
    """Rotate every clip by every angle, counter-clockwise, and normalise.

    Args:
        clips: (B, T, S, S, 3) uint8 or int16.
        degrees: R angles.
        pixels: The normalisation, and C of the result.

    Returns:
        (R*B, C, T, P, P) in channels_last_3d memory, rotation-major; P is ``inscribed_size(S)``.

    Raises:
        ValueError: The frames are not square.
    """
    _require_square(clips)
    batch, _, size, _, _ = clips.shape
    # One row for each pixel of a frame, with the values of all clips, frames and channels.
    rows = clips.float().permute(2, 3, 0, 1, 4).flatten(2).flatten(0, 1).contiguous()
    turned = [_sum(rows, *_cached_taps(float(angle), size, clips.device)) for angle in degrees]
    return _finish(torch.stack(turned), len(degrees) * batch, clips.shape, pixels)


def rotate_each(clips: Tensor, degrees: Tensor, pixels: Pixels) -> Tensor:
    """Rotate each clip by its own angles, counter-clockwise, and normalise.

    Args:
        clips: (B, T, S, S, 3) uint8 or int16.
        degrees: (V, B), the angles of V views of each clip.
        pixels: The normalisation, and C of the result.

    Returns:
        (V*B, C, T, P, P) in channels_last_3d memory, view-major.

    Raises:
        ValueError: The frames are not square.
    """
    _require_square(clips)
    batch, _, size, _, _ = clips.shape
    # One row for each pixel of each clip, with the values of all its frames and channels.
    rows = clips.float().permute(0, 2, 3, 1, 4).flatten(3).flatten(0, 2).contiguous()
    together = _together(clips)
    turned = []
    for view in degrees.tolist():
        for first in range(0, batch, together):
            taps, weights = _taps(view[first : first + together], size, clips.device)
            clip = torch.arange(first, first + len(taps), device=clips.device)
            taps += clip[:, None, None] * size**2
            turned.append(_sum(rows, taps.flatten(0, 1), weights.flatten(0, 1)))
    frames = torch.cat(turned).view(degrees.numel(), -1, rows.shape[1])
    return _finish(frames, degrees.numel(), clips.shape, pixels)


def _together(clips: Tensor) -> int:
    """Return how many clips to rotate at a time.

    On a GPU, all of them, to launch few kernels; on a CPU one, whose taps stay in the cache.
    """
    return max(1, len(clips)) if clips.is_cuda else 1


def _require_square(clips: Tensor) -> None:
    if clips.shape[2] != clips.shape[3]:
        raise ValueError(f"frames must be square, got {clips.shape[2]}x{clips.shape[3]}")


def _sum(rows: Tensor, taps: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum of the rows that each output reads: (N, V) from (R, V), (N, K) and (N, K)."""
    return F.embedding_bag(taps, rows, per_sample_weights=weights, mode="sum")


def _finish(turned: Tensor, count: int, shape: torch.Size, pixels: Pixels) -> Tensor:
    """Reshape (groups, P*P, columns) to (count, channels, T, P, P) and normalise."""
    patch = inscribed_size(shape[2])
    frames = turned.view(len(turned), patch, patch, -1, shape[1], 3)
    frames = frames.permute(0, 3, 4, 1, 2, 5).reshape(count, shape[1], patch, patch, 3)
    offset, scale = pixels.offset_and_scale(turned.device)
    values = ((frames.round() - offset) * scale).to(pixels.dtype)
    # For a single clip, the result so far is a view of its columns. Padding copies it in any case.
    padding = pixels.channels - 3
    values = F.pad(values, (0, padding)) if padding else values.contiguous()
    return values.permute(0, 4, 1, 2, 3)


def _taps(degrees: Sequence[float], size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the pixels of a flattened frame that each pixel of a rotated patch reads, and their weights.

    Args:
        degrees: A angles.
        size: The side of the frame.
        device: Of the results.

    Returns:
        (A, P*P, K) int64 and float32, K = (2 * RADIUS)**2.
    """
    patch = inscribed_size(size)
    angles = [math.radians(angle) for angle in degrees]
    # By Python, so that every device reads the same pixels.
    turns = [[math.cos(angle) for angle in angles], [math.sin(angle) for angle in angles]]
    # Made on the CPU and copied without the host waiting for the GPU's queued work.
    cos_sin = torch.tensor(turns, dtype=torch.float64).to(device, non_blocking=True)
    cos, sin = cos_sin[:, :, None, None]
    offset = torch.arange(patch, device=device, dtype=torch.float64) - (patch - 1) / 2
    y, x = torch.meshgrid(offset, offset, indexing="ij")
    centre = (size - 1) / 2
    rows, row_weights = _taps_along(centre + y * cos + x * sin)
    columns, column_weights = _taps_along(centre + x * cos - y * sin)
    index = rows[..., :, None] * size + columns[..., None, :]
    weight = row_weights[..., :, None] * column_weights[..., None, :]
    return index.flatten(-2), weight.flatten(-2).float()


@functools.lru_cache(maxsize=64)
def _cached_taps(degrees: float, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the taps of one angle, (P*P, K) each."""
    taps, weights = _taps([degrees], size, device)
    return taps[0], weights[0]


def _taps_along(position: Tensor) -> tuple[Tensor, Tensor]:
    """Return the pixels that each position reads along one axis, and their weights.

    Both are (A, P*P, 2 * RADIUS), from (A, P, P).
    """
    position = position.flatten(1)[..., None]
    around = torch.arange(1 - RADIUS, RADIUS + 1, device=position.device)
    taps = position.floor().long() + around
    distance = (position - taps).abs()
    # At an exact pixel position, the tap at RADIUS has no counterpart on the other side: drop it to keep
    # the taps symmetric.
    weight = torch.exp(-(distance**2) / (2 * SIGMA**2)) * (distance < RADIUS - 1e-9)
    return taps, weight / weight.sum(dim=-1, keepdim=True)
