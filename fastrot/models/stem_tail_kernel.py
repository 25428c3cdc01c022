"""The kernels of ``fastrot/models/stem_tail.py`` in Triton: BatchNorm, ReLU and max-pool (section 3.3).

Importing this module needs Triton. With ``TRITON_INTERPRET=1`` set before the import, Triton's interpreter
runs the kernels on the CPU. The forward pass reads the convolution's output twice (statistics, then the rest)
and writes the pooled result with one byte per value, the position of the maximum. The backward pass gathers:
each position collects the gradients of the windows whose maximum it is. Among equal maxima, the choice may
differ from torch's: in half precision, rounding makes some equal.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_ROWS = 16  # positions per program, each with all channels


def forward(
    x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the pooled result, and the position in its window, uint8, of each maximum.

    Args:
        x: (N, T, H, W, C), contiguous.
        weight: (C,), as all that follow; float32, or the dtype of ``x``.
        bias: BatchNorm's bias.
        mean: Each channel's mean, at least in float32.
        scale: The inverse of its standard deviation, in the dtype of ``mean``.
    """
    n, t, h, w, c = x.shape
    pooled = x.new_empty(n, *(triton.cdiv(size, 2) for size in (t, h, w)), c)
    places = torch.empty_like(pooled, dtype=torch.uint8)
    rows = pooled.numel() // c
    grid = (triton.cdiv(rows, _ROWS),)
    _forward[grid](
        x, weight, bias, mean, scale, pooled, places, rows, *_sizes(x, pooled), **_block(c)
    )
    return pooled, places


def backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    mean: Tensor,
    scale: Tensor,
    places: Tensor,
    *,
    training: bool,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of ``x``, in its dtype, and of bias and weight, (2, C) in the dtype of ``mean``.

    Args:
        grad: The pooled result's gradient, contiguous.
        x: As in ``forward``.
        weight: As in ``forward``.
        mean: As in ``forward``.
        scale: As in ``forward``.
        places: What ``forward`` returned.
        training: Whether mean and scale are those of ``x``, which then has a gradient through them.
    """
    c = x.shape[4]
    sizes, block = _sizes(x, grad), _block(c)
    windows, positions = grad.numel() // c, x.numel() // c
    programs = triton.cdiv(windows, _ROWS)
    parts = mean.new_empty(2, programs, c)
    _sums[(programs,)](x, mean, scale, grad, places, parts, windows, programs, *sizes, **block)
    sums = parts.sum(dim=1)
    bias_mean, weight_mean = sums / positions if training else torch.zeros_like(sums)
    x_grad = torch.empty_like(x)
    _backward[(triton.cdiv(positions, _ROWS),)](
        x,
        weight,
        mean,
        scale,
        grad,
        places,
        bias_mean,
        weight_mean,
        x_grad,
        positions,
        *sizes,
        **block,
    )
    return x_grad, sums


def _sizes(x: Tensor, pooled: Tensor) -> tuple[int, ...]:
    return (*x.shape[1:4], *pooled.shape[1:4], x.shape[4])


def _block(channels: int) -> dict[str, Any]:
    return {"block": _ROWS, "lanes": triton.next_power_of_2(channels)}


# The kernels take (N, T, H, W, C) and (N, T2, H2, W2, C) in contiguous memory.
@triton.jit
def _forward(
    x: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
    mean: tl.tensor,
    scale: tl.tensor,
    pooled: tl.tensor,
    places: tl.tensor,
    rows: tl.tensor,
    t: tl.tensor,
    h: tl.tensor,
    w: tl.tensor,
    t2: tl.tensor,
    h2: tl.tensor,
    w2: tl.tensor,
    c: tl.tensor,
    block: tl.constexpr,
    lanes: tl.constexpr,
) -> None:
    row = (tl.program_id(0) * block + tl.arange(0, block))[:, None]
    lane = tl.arange(0, lanes)[None, :]
    used = (row < rows) & (lane < c)
    m = tl.load(mean + lane, mask=lane < c, other=0)
    s = tl.load(scale + lane, mask=lane < c, other=0)
    a = tl.load(weight + lane, mask=lane < c, other=0)
    b = tl.load(bias + lane, mask=lane < c, other=0)
    clip = row // (w2 * h2 * t2)
    i, j, k = row // (w2 * h2) % t2 * 2 - 1, row // w2 % h2 * 2 - 1, row % w2 * 2 - 1
    # The maximum of BatchNorm's results is where its input has its maximum, or its minimum if the weight is
    # negative. So one value per window is normalised, not 27.
    sign = tl.where(a < 0, -1.0, 1.0).to(m.dtype)
    best = tl.full((block, lanes), float("-inf"), m.dtype)
    place = tl.full((block, lanes), 13, tl.int32)
    # Three loads at a time: with all 27, a thread would need most of its registers for addresses.
    for line in range(9):
        ti, hj = i + line // 3, j + line % 3
        inside = (ti >= 0) & (ti < t) & (hj >= 0) & (hj < h)
        for dk in tl.static_range(3):
            wk = k + dk
            there = inside & (wk >= 0) & (wk < w)
            at = (((clip * t + ti) * h + hj) * w + wk).to(tl.int64) * c + lane
            value = tl.load(x + at, mask=used & there, other=0).to(m.dtype) * sign
            better = there & ((value > best) | (value != value))  # NaN is the maximum, as in torch
            best = tl.where(better, value, best)
            place = tl.where(better, line * 3 + dk, place)
    best = ((best * sign - m) * s * a + b).to(x.dtype.element_ty)
    # Written so that NaN stays NaN. 255 is the place in a window without a positive value, which passes no
    # gradient.
    best = tl.where(best <= 0, 0, best)
    place = tl.where(best == 0, 255, place)
    tl.store(pooled + row.to(tl.int64) * c + lane, best, mask=used)
    tl.store(places + row.to(tl.int64) * c + lane, place.to(tl.uint8), mask=used)


@triton.jit
def _add(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    return a + b


@triton.jit
def _sums(
    x: tl.tensor,
    mean: tl.tensor,
    scale: tl.tensor,
    grad: tl.tensor,
    places: tl.tensor,
    parts: tl.tensor,
    rows: tl.tensor,
    programs: tl.tensor,
    t: tl.tensor,
    h: tl.tensor,
    w: tl.tensor,
    t2: tl.tensor,
    h2: tl.tensor,
    w2: tl.tensor,
    c: tl.tensor,
    block: tl.constexpr,
    lanes: tl.constexpr,
) -> None:
    row = (tl.program_id(0) * block + tl.arange(0, block))[:, None]
    lane = tl.arange(0, lanes)[None, :]
    used = (row < rows) & (lane < c)
    m = tl.load(mean + lane, mask=lane < c, other=0)
    s = tl.load(scale + lane, mask=lane < c, other=0)
    place = tl.load(places + row.to(tl.int64) * c + lane, mask=used, other=255).to(tl.int32)
    used = used & (place < 27)
    clip = row // (w2 * h2 * t2)
    ti = row // (w2 * h2) % t2 * 2 - 1 + place // 9
    hj = row // w2 % h2 * 2 - 1 + place // 3 % 3
    wk = row % w2 * 2 - 1 + place % 3
    at = (((clip * t + ti) * h + hj) * w + wk).to(tl.int64) * c + lane
    value = (tl.load(x + at, mask=used, other=0).to(m.dtype) - m) * s
    g = tl.load(grad + row.to(tl.int64) * c + lane, mask=used, other=0).to(m.dtype)
    part = parts + tl.program_id(0).to(tl.int64) * c + tl.arange(0, lanes)
    tl.store(part, tl.reduce(g, 0, _add), mask=tl.arange(0, lanes) < c)
    part += programs.to(tl.int64) * c
    tl.store(part, tl.reduce(g * value, 0, _add), mask=tl.arange(0, lanes) < c)


@triton.jit
def _backward(
    x: tl.tensor,
    weight: tl.tensor,
    mean: tl.tensor,
    scale: tl.tensor,
    grad: tl.tensor,
    places: tl.tensor,
    bias_mean: tl.tensor,
    weight_mean: tl.tensor,
    x_grad: tl.tensor,
    rows: tl.tensor,
    t: tl.tensor,
    h: tl.tensor,
    w: tl.tensor,
    t2: tl.tensor,
    h2: tl.tensor,
    w2: tl.tensor,
    c: tl.tensor,
    block: tl.constexpr,
    lanes: tl.constexpr,
) -> None:
    row = (tl.program_id(0) * block + tl.arange(0, block))[:, None]
    lane = tl.arange(0, lanes)[None, :]
    used = (row < rows) & (lane < c)
    m = tl.load(mean + lane, mask=lane < c, other=0)
    s = tl.load(scale + lane, mask=lane < c, other=0)
    a = tl.load(weight + lane, mask=lane < c, other=0)
    mean_b = tl.load(bias_mean + lane, mask=lane < c, other=0)
    mean_w = tl.load(weight_mean + lane, mask=lane < c, other=0)
    clip = row // (w * h * t)
    ti, hj, wk = row // (w * h) % t, row // w % h, row % w
    total = tl.full((block, lanes), 0, m.dtype)
    # An even position is in one window per axis, an odd one in two.
    for corner in tl.static_range(8):
        di, dj, dk = corner // 4, corner // 2 % 2, corner % 2
        i, j, k = (ti + di) // 2, (hj + dj) // 2, (wk + dk) // 2
        there = (i < t2) & (j < h2) & (k < w2)
        there = there & (ti % 2 >= di) & (hj % 2 >= dj) & (wk % 2 >= dk)
        tap = (ti - 2 * i + 1) * 9 + (hj - 2 * j + 1) * 3 + wk - 2 * k + 1
        at = (((clip * t2 + i) * h2 + j) * w2 + k).to(tl.int64) * c + lane
        place = tl.load(places + at, mask=used & there, other=255).to(tl.int32)
        g = tl.load(grad + at, mask=used & there, other=0).to(m.dtype)
        total += tl.where(place == tap, g, 0)
    value = (tl.load(x + row.to(tl.int64) * c + lane, mask=used, other=0).to(m.dtype) - m) * s
    result = a * s * (total - mean_b - value * mean_w)
    tl.store(x_grad + row.to(tl.int64) * c + lane, result.to(x.dtype.element_ty), mask=used)
