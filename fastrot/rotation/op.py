"""The rotation op: a batch of clips in, all its rotations out, normalised and ready for the network."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fastrot.rotation import reference
from fastrot.rotation.sets import RotationSet

_OUTPUTS = (torch.float32, torch.bfloat16, torch.float16)


def rotate(
    clips: Tensor,
    rotations: RotationSet,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    dtype: torch.dtype,
) -> Tensor:
    """Normalise clips and rotate them by every angle of a set (the paper's section 3).

    A rotation is counter-clockwise as the viewer sees it, rows down and columns right. Values are
    `(clip - 255 * mean) / (255 * std)`, computed in float32 and rounded once to `dtype`.

    Args:
        clips: (B, T, H, W, 3) uint8 RGB or int16 frame differences; any strides.
        rotations: The R rotations.
        mean: Per channel, in units where 255 is 1.
        std: Per channel, in the same units.
        dtype: float32, bfloat16 or float16.

    Returns:
        (R*B, 3, T, H, W) in channels_last_3d memory, rotation-major: row r*B + b is rotation r of
        clip b.

    Raises:
        ValueError: Where a shape or dtype is another, or where a quarter turn is asked of frames
            that are not square.
    """
    return _rotate(clips, rotations.degrees, mean=mean, std=std, dtype=dtype)


def normalize(
    clips: Tensor, *, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype
) -> Tensor:
    """Normalise clips without rotating them, for transfer learning.

    The arguments, the (B, 3, T, H, W) channels_last_3d result and what is raised are those of `rotate`
    for the one rotation by 0 degrees.
    """
    return _rotate(clips, (0,), mean=mean, std=std, dtype=dtype)


def _rotate(
    clips: Tensor,
    degrees: tuple[int, ...],
    *,
    mean: Sequence[float],
    std: Sequence[float],
    dtype: torch.dtype,
) -> Tensor:
    _check(clips, degrees, mean, std, dtype)
    return reference.rotate(clips, degrees, mean=mean, std=std, dtype=dtype)


def _check(
    clips: Tensor,
    degrees: tuple[int, ...],
    mean: Sequence[float],
    std: Sequence[float],
    dtype: torch.dtype,
) -> None:
    shape = tuple(clips.shape)
    if clips.ndim != 5 or shape[4] != 3:
        raise ValueError(f"Clips must be (B, T, H, W, 3), these are {shape}.")
    if clips.dtype not in (torch.uint8, torch.int16):
        raise ValueError(f"Clips must be uint8 or int16, these are {clips.dtype}.")
    if dtype not in _OUTPUTS:
        raise ValueError(f"The output must be float32, bfloat16 or float16, not {dtype}.")
    if len(mean) != 3 or len(std) != 3:
        raise ValueError(f"mean and std need 3 values each, got {len(mean)} and {len(std)}.")
    if min(std) <= 0:
        raise ValueError(f"std must be positive, got {tuple(std)}.")
    if shape[2] != shape[3] and any(turn % 180 for turn in degrees):
        raise ValueError(f"Quarter turns need square frames, these are {shape[2]}x{shape[3]}.")
