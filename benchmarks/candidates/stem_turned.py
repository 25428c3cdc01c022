"""The stem's outputs for all four rotations from one reading of the clip, by turning its kernels.

A convolution of a rotated clip is the rotated convolution of the clip by kernels that are rotated back.
Because of the stride of 2, each rotation samples other positions of the clip: the phase. In blocks of 2x2
pixels a phase is a shift of the kernel, so one convolution with four times as many kernels serves all
rotations.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

PHASES = ((0, 0), (0, 1), (1, 1), (1, 0))
"""Row and column of the first sampled position, modulo 2, for 0, 90, 180 and 270 degrees."""


def stem_of_rotations(x: Tensor, weight: Tensor) -> Tensor:
    """Rotate clips by 0, 90, 180 and 270 degrees and convolve them as ``Stem`` does.

    Args:
        x: (N, 3, T, S, S), S even.
        weight: (O, 3, 7, 7, 7).

    Returns:
        (4N, O, T, S/2, S/2), rotation-major.
    """
    half = x.shape[3] // 2
    blocks = F.pad(_blocks(x), (2, 2, 2, 2, 3, 3))
    banks = F.conv3d(blocks, turned_weight(weight)).chunk(4, dim=1)
    return torch.cat(
        [
            torch.rot90(bank[..., row : row + half, column : column + half], turn, (3, 4))
            for turn, (bank, (row, column)) in enumerate(zip(banks, PHASES, strict=True))
        ]
    )


def turned_weight(weight: Tensor) -> Tensor:
    """Return (4 * O, 12, 7, 4, 4) from (O, 3, 7, 7, 7): a bank of kernels for each rotation."""
    banks = [
        F.pad(torch.rot90(weight, -turn, (3, 4)), (1 - column, column, 1 - row, row))
        for turn, (row, column) in enumerate(PHASES)
    ]
    return _blocks(torch.cat(banks))


def _blocks(x: Tensor) -> Tensor:
    """Return blocks of 2x2 pixels as channels: (N, C, T, H, W) to (N, 4 * C, T, H/2, W/2)."""
    n, channels, frames, height, width = x.shape
    split = x.reshape(n, channels, frames, height // 2, 2, width // 2, 2)
    split = split.permute(0, 4, 6, 1, 2, 3, 5)
    return split.reshape(n, 4 * channels, frames, height // 2, width // 2)
