"""The rotation op in plain torch: what runs on a CPU, and what the kernel is held against."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# A quarter turn is the transposed picture with its rows or its columns reversed; these are the axes
# of (T, H, W, 3) to reverse.
_FLIPS = {90: (1,), 180: (1, 2), 270: (2,)}


def rotate(
    clips: Tensor,
    degrees: Sequence[int],
    *,
    mean: Sequence[float],
    std: Sequence[float],
    dtype: torch.dtype,
    channels: int = 3,
) -> Tensor:
    """Normalise clips and write each of their rotations; `op.rotate` says what goes in and out.

    Multiples of 90 degrees are permutations of the pixels. Nothing is interpolated, so nothing
    at the border or in the sharpness tells a network which rotation it sees.

    Three things make it fast on a CPU, where torch's inner loops want long runs: pixels turn as bytes
    before they are normalised, clip by clip so that they stay in the cache, and a row of all its
    channels is normalised at once.
    """
    batch, frames, height, width, _ = clips.shape
    shape = (len(degrees), batch, frames, height, 3 * width)
    out = torch.empty(shape, dtype=dtype, device=clips.device)
    scratch = torch.empty(shape[2:], dtype=torch.float32, device=clips.device)
    mean255 = torch.tensor([255 * m for m in mean], device=clips.device).repeat(width)
    scale = torch.tensor([1 / (255 * s) for s in std], device=clips.device).repeat(width)

    transposed = clips.new_empty((frames, width, height, 3))
    for b, clip in enumerate(clips):
        if any(turn % 180 for turn in degrees):
            # Colour by colour this is twice as fast as pixel by pixel.
            for c in range(3):
                transposed[..., c] = clip[..., c].transpose(1, 2)
        for turn, rotated in zip(degrees, out[:, b], strict=True):
            pixels = transposed if turn % 180 else clip
            if turn:
                pixels = pixels.flip(_FLIPS[turn])
            values = rotated if dtype == torch.float32 else scratch
            values.copy_(pixels.flatten(2)).sub_(mean255).mul_(scale)
            if values is scratch:
                rotated.copy_(scratch)

    # Channels stay innermost in memory, which is channels_last_3d seen as (N, C, T, H, W).
    rows = out.view(len(degrees) * batch, frames, height, width, 3)
    if channels > 3:
        rows = F.pad(rows, (0, channels - 3))
    return rows.permute(0, 4, 1, 2, 3)
