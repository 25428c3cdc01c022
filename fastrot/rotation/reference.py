"""The rotation op in plain torch: what runs on a CPU, and what the kernel is held against."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fastrot.rotation.pixels import Pixels

# A quarter turn is the transposed picture with its rows or its columns reversed; these are the axes
# of (B, T, H, W, 3) to reverse.
_FLIPS = {90: (2,), 180: (2, 3), 270: (3,)}

_TOGETHER = 2  # clips that turn at once


def rotate(clips: Tensor, degrees: Sequence[int], pixels: Pixels) -> Tensor:
    """Normalise clips and write each of their rotations; `op.rotate` says what goes in and out.

    Multiples of 90 degrees are permutations of the pixels. Nothing is interpolated, so nothing
    at the border or in the sharpness tells a network which rotation it sees.

    Four things make it fast on a CPU, where torch's inner loops want long runs: pixels turn as bytes
    before they are normalised, a pair of clips at a time so that they stay in the cache; a row of all its
    channels is normalised at once, and in one pass.
    """
    batch, frames, height, width, _ = clips.shape
    shape = (len(degrees), batch, frames, height, 3 * width)
    out = torch.empty(shape, dtype=pixels.dtype, device=clips.device)
    scratch = torch.empty(shape[2:], dtype=torch.float32, device=clips.device)
    offset, scale = pixels.offset_and_scale(clips.device)
    mean255, half = (row.repeat(width).expand_as(scratch) for row in (offset, scale / 2))

    memory = clips.new_empty((min(_TOGETHER, batch), frames, width, height, 3))
    for first in range(0, batch, _TOGETHER):
        group = clips[first : first + _TOGETHER]
        transposed = memory[: len(group)]
        if any(turn % 180 for turn in degrees):
            # Colour by colour this is twice as fast as pixel by pixel.
            for c in range(3):
                transposed[..., c] = group[..., c].transpose(2, 3)
        for turn, rotations in zip(degrees, out, strict=True):
            turned = transposed if turn % 180 else group
            if turn:
                turned = turned.flip(_FLIPS[turn])
            for clip, rotated in zip(turned.flatten(3), rotations[first:], strict=False):
                scratch.copy_(clip)
                normalized = rotated if pixels.dtype == torch.float32 else scratch
                # 2 * (x - mean) * half: (x - mean) * scale to the bit, in one pass instead of two.
                torch.ops.aten.mse_loss_backward(half, scratch, mean255, 0, grad_input=normalized)
                if normalized is scratch:
                    rotated.copy_(scratch)

    # Channels stay innermost in memory, which is channels_last_3d seen as (N, C, T, H, W).
    rows = out.view(len(degrees) * batch, frames, height, width, 3)
    if pixels.channels > 3:
        rows = F.pad(rows, (0, pixels.channels - 3))
    return rows.permute(0, 4, 1, 2, 3)
