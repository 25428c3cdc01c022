"""The rotation op in plain torch, right by inspection; it runs on every device."""

from collections.abc import Sequence

import torch
from torch import Tensor


def rotate(
    clips: Tensor,
    degrees: Sequence[int],
    *,
    mean: Sequence[float],
    std: Sequence[float],
    dtype: torch.dtype,
) -> Tensor:
    """Normalise clips and write each of their rotations; `op.rotate` says what goes in and out.

    Multiples of 90 degrees are permutations of the pixels. Nothing is interpolated, so nothing
    at the border or in the sharpness tells a network which rotation it sees.
    """
    batch, frames, height, width, channels = clips.shape
    mean255 = torch.tensor([255 * m for m in mean], device=clips.device)
    scale = torch.tensor([1 / (255 * s) for s in std], device=clips.device)
    normalized = ((clips.float() - mean255) * scale).to(dtype)

    shape = (len(degrees), batch, frames, height, width, channels)
    out = torch.empty(shape, dtype=dtype, device=clips.device)
    for turn, rotated in zip(degrees, out, strict=True):
        rotated.copy_(torch.rot90(normalized, turn // 90, dims=(2, 3)))
    # Channels stay innermost in memory, which is channels_last_3d seen as (N, 3, T, H, W).
    return out.flatten(0, 1).permute(0, 4, 1, 2, 3)
