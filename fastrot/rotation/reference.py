"""The rotation op in plain torch: the CPU implementation, and the reference for the Triton kernel."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fastrot.rotation.pixels import Pixels

# Axes of (B, T, H, W, 3) to reverse. A quarter turn is the transposed frame with its rows or columns
# reversed.
_FLIPS = {90: (2,), 180: (2, 3), 270: (3,)}

_TOGETHER = 2  # clips rotated at a time


def rotate(clips: Tensor, degrees: Sequence[int], pixels: Pixels) -> Tensor:
    """Normalise clips and write each of their rotations; see ``op.rotate`` for inputs and outputs.

    Multiples of 90 degrees permute the pixels. Nothing is interpolated, so neither the border nor the
    sharpness reveals the rotation to a network.

    Four things make it fast on a CPU, where torch's inner loops need long contiguous runs: pixels are
    rotated as bytes before normalisation; two clips are rotated at a time, so that they stay in the cache;
    a row is normalised with all its channels at once; and normalisation takes a single pass.
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
            # Transposing colour by colour is twice as fast as pixel by pixel.
            for c in range(3):
                transposed[..., c] = group[..., c].transpose(2, 3)
        for turn, rotations in zip(degrees, out, strict=True):
            turned = transposed if turn % 180 else group
            if turn:
                turned = turned.flip(_FLIPS[turn])
            for clip, rotated in zip(turned.flatten(3), rotations[first:], strict=False):
                scratch.copy_(clip)
                normalized = rotated if pixels.dtype == torch.float32 else scratch
                # 2 * (x - mean) * half equals (x - mean) * scale bit for bit, in one pass instead of two.
                torch.ops.aten.mse_loss_backward(half, scratch, mean255, 0, grad_input=normalized)
                if normalized is scratch:
                    rotated.copy_(scratch)

    # Channels stay innermost in memory: as (N, C, T, H, W) this is channels_last_3d.
    rows = out.view(len(degrees) * batch, frames, height, width, 3)
    if pixels.channels > 3:
        rows = F.pad(rows, (0, pixels.channels - 3))
    return rows.permute(0, 4, 1, 2, 3)
