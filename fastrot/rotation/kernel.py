"""The rotation op as one Triton kernel: each pixel of a clip crosses the memory bus once.

Importing this needs Triton; `op` does so where clips on a GPU are first rotated. With
TRITON_INTERPRET=1 set before the import, Triton's interpreter runs the kernel on the CPU.
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
    """Normalise clips and write each of their rotations; `op.rotate` says what goes in and out.

    Strides of batch, time and rows are free. Where the pixels of a row, or the channels of a pixel,
    do not follow one another in memory, the clips are copied first.

    Raises:
        ValueError: Where a frame has 2**31 output values or more.
    """
    batch, frames, height, width, _ = clips.shape
    channels = pixels.channels
    # Offsets within a frame are int32 in the kernel, those of frames int64.
    if height * width * channels >= _INT32_LIMIT:
        raise ValueError(
            f"Frames of {height}x{width} pixels are too large for the rotation kernel."
        )
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


# One program turns one square tile of `depth` successive frames into all rotations. Stores go along
# the rows of the output: a row of a tile, tile * channels values, is written in `channels` pieces of
# `tile` values, because blocks are powers of two and 3 * tile is not. Loads go wherever the pixel of
# each value lies, one or two bytes each; for the quarter turns that is down a column. All of them fall
# into the same tile, which the first one brings into the L1 cache: memory is read once.
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
                # Bounds are tested in values, not pixels: only so the compiler sees that 16 bytes are
                # inside or outside together, and stores them at once.
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


# No GPU has timed these: the first batch of each frame size picks among them on the card it meets.
# Each gives a thread 16 bytes to store in half precision (8 values). 16 divides the paper's 112 pixels,
# 32 wastes a quarter of the lanes on them but writes longer rows. Deeper programs spread the index
# arithmetic over more frames; too deep, and a tile's frames no longer fit into L1.
_CONFIGS = [
    _config(16, 4, 1),
    _config(16, 8, 1),
    _config(16, 16, 1),
    _config(32, 1, 4),
    _config(32, 4, 4),
    _config(32, 8, 4),
    _config(64, 2, 16),
]

# The interpreter has no clock to tune by.
_launch = triton.autotune(
    _CONFIGS[:1] if triton.knobs.runtime.interpret else _CONFIGS,
    key=["height", "width", "turns", "channels"],
)(_kernel)
