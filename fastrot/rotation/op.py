"""The rotation op (section 3.2): normalises a batch of clips and returns all its rotations."""

import warnings
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from fastrot.rotation import reference
from fastrot.rotation.pixels import Pixels
from fastrot.rotation.sets import RotationSet


def rotate(
    clips: Tensor,
    rotations: RotationSet,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    dtype: torch.dtype,
    channels: int = 3,
) -> Tensor:
    """Normalise clips and rotate them by every angle of a set (the paper's section 3).

    Rotations are counter-clockwise as seen by the viewer, with rows down and columns right. Values are
    ``(clip - 255 * mean) / (255 * std)``, computed in float32 and rounded once to ``dtype``. On a GPU, one
    Triton kernel computes everything; ``torch.compile`` sees a single op. There is no gradient, because
    pixels are integers.

    Args:
        clips: (B, T, H, W, 3) uint8 RGB or int16 frame differences; any strides.
        rotations: The R rotations.
        mean: Per channel, in units where 255 is 1.
        std: Per channel, in the same units.
        dtype: float32, bfloat16 or float16.
        channels: C of the result, 3, 4 or 8; channels after the three colours are zero.

    Returns:
        (R*B, C, T, H, W) in channels_last_3d memory, rotation-major: row r*B + b is rotation r of
        clip b.

    Raises:
        ValueError: A shape or dtype is wrong, or frames for a quarter turn are not square.
    """
    return quarter_turns(clips, rotations.degrees, Pixels(mean, std, dtype, channels))


def quarter_turns(clips: Tensor, degrees: Sequence[int], pixels: Pixels) -> Tensor:
    """Normalise clips and rotate them by each of the angles, multiples of 90; see ``rotate``.

    Raises:
        ValueError: A shape or dtype is wrong, or frames for a quarter turn are not square.
    """
    shape = tuple(clips.shape)
    if clips.ndim != 5 or shape[4] != 3:
        raise ValueError(f"clips must have shape (B, T, H, W, 3), got {shape}")
    if clips.dtype not in (torch.uint8, torch.int16):
        raise ValueError(f"clips must be uint8 or int16, got {clips.dtype}")
    if shape[2] != shape[3] and any(turn % 180 for turn in degrees):
        raise ValueError(f"quarter turns need square frames, got {shape[2]}x{shape[3]}")
    # Custom ops of torch cannot take a dataclass.
    rotated: Tensor = _rotate(
        clips, degrees, pixels.mean, pixels.std, pixels.dtype, pixels.channels
    )
    return rotated


def normalize(clips: Tensor, pixels: Pixels) -> Tensor:
    """Normalise clips without rotating them, for transfer learning.

    Returns and raises the same as ``rotate`` with 0 degrees as the only rotation: the result is
    (B, C, T, H, W) in channels_last_3d memory.
    """
    return quarter_turns(clips, (0,), pixels)


def _rotate_by_torch(clips: Tensor, degrees: Sequence[int], *pixels: Any) -> Tensor:
    return reference.rotate(clips, degrees, Pixels(*pixels))


def _rotate_by_triton(clips: Tensor, degrees: Sequence[int], *pixels: Any) -> Tensor:
    kernel = _kernel()
    rotate = reference.rotate if kernel is None else kernel.rotate
    rotated: Tensor = rotate(clips, degrees, Pixels(*pixels))
    return rotated


@cache
def _kernel() -> ModuleType | None:
    """Import the kernel when a GPU first needs it. Without Triton, warn once and return None.

    Triton is not available on some systems (Windows). The fallback is slower but gives the same result,
    so this is not an error.
    """
    try:
        from fastrot.rotation import kernel
    except ImportError as error:
        warnings.warn(
            f"the Triton rotation kernel is unavailable ({error}); falling back to plain torch, which is "
            "slow on a GPU. Install the triton version that your torch requires",
            stacklevel=2,
        )
        return None
    return kernel


def _empty_result(clips: Tensor, degrees: Sequence[int], *pixels: Any) -> Tensor:
    given = Pixels(*pixels)
    batch, frames, height, width, _ = clips.shape
    shape = (len(degrees) * batch, frames, height, width, given.channels)
    return clips.new_empty(shape, dtype=given.dtype).permute(0, 4, 1, 2, 3)


_rotate = torch.library.custom_op(
    "fastrot::rotate",
    _rotate_by_torch,
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor clips, int[] degrees, float[] mean, float[] std, ScalarType dtype, int channels)"
    " -> Tensor",
)
_rotate.register_kernel("cuda", _rotate_by_triton)
_rotate.register_fake(_empty_result)
