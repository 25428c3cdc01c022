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

    # Triton launches on the current GPU, which need not be the clips'.
    with torch.cuda.device_of(clips):  # type: ignore[no-untyped-call]
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


# One program handles a square tile of `depth` consecutive frames. It loads and normalises each byte once, one
# plane of the tile per colour, and writes all rotations from these planes. Quarter turns are written from the
# transposed planes; the rest of a rotation is the order of rows and columns.
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

    i = top + tl.arange(0, tile)[:, None]
    j = left + tl.arange(0, tile)[None, :]
    inside = (i < height) & (j < width)
    for time in range(first, tl.minimum(first + depth, frames)):
        pixel = clips + tl.cast(time, tl.int64) * stride_t + (i * stride_h + j * 3)
        red = _normalized(pixel, inside, mean0, scale0, out)
        green = _normalized(pixel + 1, inside, mean1, scale1, out)
        blue = _normalized(pixel + 2, inside, mean2, scale2, out)
        for r in tl.static_range(len(turns)):
            picture = out + ((r * batch + clip).to(tl.int64) * frames + time) * (
                height * width * channels
            )
            if turns[r] % 2 == 0:
                planes = (red, green, blue)
                _store(picture, planes, top, left, height, width, turns[r], channels, tile)
            else:
                planes = (tl.trans(red), tl.trans(green), tl.trans(blue))
                _store(picture, planes, left, top, width, height, turns[r], channels, tile)


@triton.jit
def _normalized(
    pixel: tl.tensor, inside: tl.tensor, mean: tl.tensor, scale: tl.tensor, out: tl.tensor
) -> tl.tensor:
    value = tl.load(pixel, mask=inside, other=0).to(tl.float32)
    return ((value - mean) * scale).to(out.dtype.element_ty)


# Rows are written in pieces of 8 values, 16 bytes in half precision. A group is the least number of pixels
# that fills whole pieces: 8 pixels of 3 channels are 3 pieces; 2 pixels of 4 channels and 1 pixel of 8 are
# one. Where each thread has whole groups, packing them moves no data.
@triton.jit
def _store(
    picture: tl.tensor,
    planes: tl.tuple,
    top: tl.tensor,
    left: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    turn: tl.constexpr,
    channels: tl.constexpr,
    tile: tl.constexpr,
) -> None:
    # A half turn reverses rows and columns, a quarter turn one of the two, after the transposition.
    up: tl.constexpr = turn == 1 or turn == 2
    back: tl.constexpr = turn == 2 or turn == 3
    group: tl.constexpr = 8 if channels == 3 else 8 // channels
    r = _split(planes[0], group, back, tile)
    g = _split(planes[1], group, back, tile)
    b = _split(planes[2], group, back, tile)
    if channels == 3:
        pieces = (
            _join(r[0], g[0], b[0], r[1], g[1], b[1], r[2], g[2]),
            _join(b[2], r[3], g[3], b[3], r[4], g[4], b[4], r[5]),
            _join(g[5], b[5], r[6], g[6], b[6], r[7], g[7], b[7]),
        )
    else:
        zero = tl.full((tile, tile // group), 0, r[0].dtype)
        if channels == 4:
            pieces = (_join(r[0], g[0], b[0], zero, r[1], g[1], b[1], zero),)  # type: ignore[assignment]
        else:
            pieces = (_join(r[0], g[0], b[0], zero, zero, zero, zero, zero),)  # type: ignore[assignment]
    row = tl.arange(0, tile)[:, None, None]
    column = tl.arange(0, tile // group)[None, :, None] * group
    i = height - 1 - top - row if up else top + row
    j = width - group - left - column if back else left + column
    for piece in tl.static_range(len(pieces)):
        # Bounds are tested in values, not pixels, so that the compiler can prove that a piece is all inside
        # or all outside, and use one vector store.
        value = j * channels + (piece * 8 + tl.arange(0, 8)[None, None, :])
        inside = (i >= 0) & (i < height) & (value >= 0) & (value < width * channels)
        tl.store(picture + (i * (width * channels) + value), pieces[piece], mask=inside)


# The pixels of the groups of a plane, (tile, tile // group) each, from left to right or from right to left.
@triton.jit
def _split(
    plane: tl.tensor, group: tl.constexpr, back: tl.constexpr, tile: tl.constexpr
) -> tl.tuple:
    if group == 1:
        return (plane,)
    elif group == 2:
        a, b = tl.split(plane.reshape(tile, tile // 2, 2))
        if back:
            return b, a
        else:
            return a, b
    else:
        even, odd = tl.split(plane.reshape(tile, tile // 8, 2, 2, 2))
        even0, even1 = tl.split(even)
        odd0, odd1 = tl.split(odd)
        a, e = tl.split(even0)
        c, g = tl.split(even1)
        b, f = tl.split(odd0)
        d, h = tl.split(odd1)
        if back:
            return h, g, f, e, d, c, b, a
        else:
            return a, b, c, d, e, f, g, h


@triton.jit
def _join(
    a: tl.tensor,
    b: tl.tensor,
    c: tl.tensor,
    d: tl.tensor,
    e: tl.tensor,
    f: tl.tensor,
    g: tl.tensor,
    h: tl.tensor,
) -> tl.tensor:
    even = tl.join(tl.join(a, e), tl.join(c, g))
    odd = tl.join(tl.join(b, f), tl.join(d, h))
    return tl.join(even, odd).reshape(a.shape[0], a.shape[1], 8)


# Triton would compile again for numbers that are 1 or that 16 divides, as for the short last batch of an
# evaluation. No access is wider because of these two.
_kernel = triton.jit(do_not_specialize=["batch", "frames"])(_rotate_tile)


def _config(tile: int, depth: int, warps: int) -> triton.Config:
    return triton.Config({"tile": tile, "depth": depth}, num_warps=warps)


# None of these was tuned by hand: the autotuner picks one on the first batch of each frame size. In each,
# a thread has a group of 8 pixels. Tiles of 16 divide the paper's 112 pixels; tiles
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
