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
    columns, shape = _pixels_first(clips)
    turned = [_weights(float(angle), shape[2], clips.device) @ columns for angle in degrees]
    return _finish(torch.stack(turned), len(degrees) * shape[0], shape, pixels)


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
    _, shape = _pixels_first(clips[:1])
    turned = []
    for view in degrees.tolist():
        for clip, angle in zip(clips, view, strict=True):
            columns, _ = _pixels_first(clip[None])
            turned.append(_make_weights(float(angle), shape[2], clips.device) @ columns)
    return _finish(torch.stack(turned), degrees.numel(), shape, pixels)


def _pixels_first(clips: Tensor) -> tuple[Tensor, torch.Size]:
    """Return (S*S, B*T*3) float32, one column for each frame and channel."""
    if clips.shape[2] != clips.shape[3]:
        raise ValueError(f"frames must be square, got {clips.shape[2]}x{clips.shape[3]}")
    return clips.float().permute(2, 3, 0, 1, 4).flatten(2).flatten(0, 1).contiguous(), clips.shape


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


def _make_weights(degrees: float, size: int, device: torch.device) -> Tensor:
    """Return the (P*P, S*S) float32 sparse matrix that rotates a flattened frame."""
    patch, angle = inscribed_size(size), math.radians(degrees)
    offset = torch.arange(patch, device=device, dtype=torch.float64) - (patch - 1) / 2
    y, x = torch.meshgrid(offset, offset, indexing="ij")
    centre = (size - 1) / 2
    rows, row_weights = _taps(centre + y * math.cos(angle) + x * math.sin(angle))
    columns, column_weights = _taps(centre + x * math.cos(angle) - y * math.sin(angle))
    index = (rows[:, :, None] * size + columns[:, None, :]).flatten(1)
    weight = (row_weights[:, :, None] * column_weights[:, None, :]).flatten(1)
    starts = torch.arange(0, index.numel() + 1, index.shape[1], device=device)
    return torch.sparse_csr_tensor(
        starts, index.flatten(), weight.flatten().float(), (patch * patch, size * size)
    )


def _taps(position: Tensor) -> tuple[Tensor, Tensor]:
    """Return the pixels that each position reads along one axis and their weights, (P*P, 2 RADIUS) each."""
    around = torch.arange(1 - RADIUS, RADIUS + 1, device=position.device)
    taps = position.flatten().floor().long()[:, None] + around
    distance = (position.flatten()[:, None] - taps).abs()
    # At an exact pixel position, the tap at RADIUS has no counterpart on the other side: drop it to keep
    # the taps symmetric.
    weight = torch.exp(-(distance**2) / (2 * SIGMA**2)) * (distance < RADIUS - 1e-9)
    return taps, weight / weight.sum(dim=1, keepdim=True)


_weights = functools.lru_cache(maxsize=64)(_make_weights)
