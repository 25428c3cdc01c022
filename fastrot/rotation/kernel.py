"""The rotation op as one Triton kernel that reads each pixel of a clip from memory once.

Importing this module needs Triton. ``op`` imports it when clips on a GPU are first rotated. With
``TRITON_INTERPRET=1`` set before the import, Triton's interpreter runs the kernel on the CPU.
"""

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from fastrot.rotation.pixels import Pixels

_INT32_LIMIT = 2**31


def rotate(clips: Tensor, degrees: Sequence[int], pixels: Pixels) -> Tensor:
    """Normalise clips and write each of their rotations; see ``op.rotate`` for inputs and outputs.

    Batch, time and rows may have any strides. The clips are copied first if the pixels of a row or the
    channels of a pixel are not contiguous.

    Raises:
        ValueError: A frame has 2**31 output values or more.
    """
    batch, frames, height, width, _ = clips.shape
    channels = pixels.channels
    # In the kernel, offsets within a frame are int32 and offsets of frames are int64.
    if height * width * channels >= _INT32_LIMIT:
        raise ValueError(f"frames of {height}x{width} pixels are too large for the rotation kernel")
    if clips.stride()[3:] != (3, 1) or height * clips.stride(2) >= _INT32_LIMIT:
        clips = clips.contiguous()
    rotations = len(degrees)
    out = torch.empty(
        (rotations * batch, frames, height, width, channels),
        dtype=pixels.dtype,
        device=clips.device,
    )
    if out.numel() == 0:
        return out.permute(0, 4, 1, 2, 3)

    def grid(meta: dict[str, Any]) -> tuple[int]:
        tiles = triton.cdiv(height, meta["tile"]) * triton.cdiv(width, meta["tile"])
        return (batch * triton.cdiv(frames, meta["depth"]) * tiles,)

    _launch[grid](
        clips,
        out,
        *clips.stride()[:3],
        batch,
        frames,
        height,
        width,
        *(255 * m for m in pixels.mean),
        *(1 / (255 * s) for s in pixels.std),
        turns=tuple(turn // 90 for turn in degrees),
        channels=channels,
    )
    return out.permute(0, 4, 1, 2, 3)


# One program writes all rotations of one square tile of `depth` consecutive frames. Stores follow the
# rows of the output: a row of a tile, tile * channels values, is written in `channels` pieces of
# `tile` values, because block sizes must be powers of two and 3 * tile is not. Loads are scattered, one or
# two bytes each; for quarter turns they go down a column. All loads fall into the same tile, which the
# first one brings into the L1 cache, so memory is read once.
def _rotate_tile(
    clips: tl.tensor,
    out: tl.tensor,
    stride_b: tl.tensor,
    stride_t: tl.tensor,
    stride_h: tl.tensor,
    batch: tl.tensor,
    frames: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    mean0: tl.tensor,
    mean1: tl.tensor,
    mean2: tl.tensor,
    scale0: tl.tensor,
    scale1: tl.tensor,
    scale2: tl.tensor,
    turns: tl.constexpr,
    channels: tl.constexpr,
    tile: tl.constexpr,
    depth: tl.constexpr,
) -> None:
    tiles_x = (width + tile - 1) // tile
    tiles = (height + tile - 1) // tile * tiles_x
    runs = (frames + depth - 1) // depth
    which = tl.program_id(0) % tiles
    top = which // tiles_x * tile
    left = which % tiles_x * tile
    clip = tl.program_id(0) // tiles // runs
    first = tl.program_id(0) // tiles % runs * depth
    clips += clip.to(tl.int64) * stride_b

    row = tl.arange(0, tile)
    for piece in tl.static_range(channels):
        element = piece * tile + tl.arange(0, tile)
        pixel = element // channels
        channel = element % channels
        mean = tl.where(channel == 0, mean0, tl.where(channel == 1, mean1, mean2))
        scale = tl.where(channel == 0, scale0, tl.where(channel == 1, scale1, scale2))
        for time in range(first, tl.minimum(first + depth, frames)):
            frame = clips + tl.cast(time, tl.int64) * stride_t
            for r in tl.static_range(len(turns)):
                if turns[r] == 0:
                    i = top + row
                    j0 = left
                    source_i = i * stride_h
                    source_j = (j0 + pixel) * 3 + channel
                elif turns[r] == 1:
                    i = width - tile - left + row
                    j0 = top
                    source_i = (width - 1 - i) * 3
                    source_j = (j0 + pixel) * stride_h + channel
                elif turns[r] == 2:
                    i = height - tile - top + row
                    j0 = width - tile - left
                    source_i = (height - 1 - i) * stride_h
                    source_j = (width - 1 - j0 - pixel) * 3 + channel
                else:
                    i = left + row
                    j0 = height - tile - top
                    source_i = i * 3
                    source_j = (height - 1 - j0 - pixel) * stride_h + channel
                # Bounds are tested in values, not pixels, so that the compiler can prove that 16 bytes are
                # all inside or all outside, and use one vector store.
                target_j = j0 * channels + element
                inside_i = (i >= 0) & (i < height)
                inside_j = (target_j >= 0) & (target_j < width * channels)
                inside = inside_i[:, None] & inside_j[None, :]
                value = tl.load(
                    frame + (source_i[:, None] + source_j[None, :]),
                    mask=inside & (channel < 3)[None, :],
                    other=0,
                )
                value = (value.to(tl.float32) - mean[None, :]) * scale[None, :]
                if channels > 3:
                    value = tl.where((channel < 3)[None, :], value, 0.0)
                picture = ((r * batch + clip).to(tl.int64) * frames + time) * (
                    height * width * channels
                )
                tl.store(
                    out + picture + (i[:, None] * (width * channels) + target_j[None, :]),
                    value.to(out.dtype.element_ty),
                    mask=inside,
                )


_kernel = triton.jit(_rotate_tile)


def _config(tile: int, depth: int, warps: int) -> triton.Config:
    return triton.Config({"tile": tile, "depth": depth}, num_warps=warps)


# None of these was tuned by hand: the autotuner picks one on the first batch of each frame size. In each,
# a thread stores 16 bytes in half precision (8 values). Tiles of 16 divide the paper's 112 pixels; tiles
# of 32 waste a quarter of the lanes there but write longer rows. A higher depth spreads the index
# arithmetic over more frames, until the frames of a tile no longer fit into L1.
_CONFIGS = [
    _config(16, 4, 1),
    _config(16, 8, 1),
    _config(16, 16, 1),
    _config(32, 1, 4),
    _config(32, 4, 4),
    _config(32, 8, 4),
    _config(64, 2, 16),
]

# The interpreter cannot time configurations.
_launch = triton.autotune(
    _CONFIGS[:1] if triton.knobs.runtime.interpret else _CONFIGS,
    key=["height", "width", "turns", "channels"],
)(_kernel)
