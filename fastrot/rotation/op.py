"""The rotation op (section 3.2): a batch of clips in, all its rotations out, normalised."""

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

    A rotation is counter-clockwise as the viewer sees it, rows down and columns right. Values are
    `(clip - 255 * mean) / (255 * std)`, computed in float32 and rounded once to `dtype`. On a GPU one
    Triton kernel does it; `torch.compile` sees a single op. Pixels are integers: there is no gradient.

    Args:
        clips: (B, T, H, W, 3) uint8 RGB or int16 frame differences; any strides.
        rotations: The R rotations.
        mean: Per channel, in units where 255 is 1.
        std: Per channel, in the same units.
        dtype: float32, bfloat16 or float16.
        channels: C of the result, 3, 4 or 8: those beyond the colours are zero.

    Returns:
        (R*B, C, T, H, W) in channels_last_3d memory, rotation-major: row r*B + b is rotation r of
        clip b.

    Raises:
        ValueError: Where a shape or dtype is another, or where a quarter turn is asked of frames
            that are not square.
    """
    return quarter_turns(clips, rotations.degrees, Pixels(mean, std, dtype, channels))


def quarter_turns(clips: Tensor, degrees: Sequence[int], pixels: Pixels) -> Tensor:
    """Normalise clips and rotate them by each of the angles, multiples of 90: `rotate` says more.

    Raises:
        ValueError: Where a shape or dtype is another, or where a quarter turn is asked of frames
            that are not square.
    """
    shape = tuple(clips.shape)
    if clips.ndim != 5 or shape[4] != 3:
        raise ValueError(f"Clips must be (B, T, H, W, 3), these are {shape}.")
    if clips.dtype not in (torch.uint8, torch.int16):
        raise ValueError(f"Clips must be uint8 or int16, these are {clips.dtype}.")
    if shape[2] != shape[3] and any(turn % 180 for turn in degrees):
        raise ValueError(f"Quarter turns need square frames, these are {shape[2]}x{shape[3]}.")
    # torch's ops take numbers and lists of them, no dataclass.
    rotated: Tensor = _rotate(
        clips, degrees, pixels.mean, pixels.std, pixels.dtype, pixels.channels
    )
    return rotated


def normalize(clips: Tensor, pixels: Pixels) -> Tensor:
    """Normalise clips without rotating them, for transfer learning.

    The (B, C, T, H, W) channels_last_3d result and what is raised are those of `rotate` for the one
    rotation by 0 degrees.
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
    """Import the kernel where a GPU first needs it; without Triton say so, once, and return None.

    torch has no Triton on some systems (Windows). The result is the same without it, only later, so
    a run that would otherwise work goes on.
    """
    try:
        from fastrot.rotation import kernel
    except ImportError as error:
        warnings.warn(
            f"The rotation op runs as many small torch operations, which is slow on a GPU: {error}. "
            "Install the triton version that your torch asks for.",
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
