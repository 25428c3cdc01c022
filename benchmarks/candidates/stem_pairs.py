"""The stem on pairs of columns: clips of 4 channels are read as clips of half the width and 8 channels.

A GPU's matrix units take 8 channels of half precision at a time. Clips of 3 or 4 channels leave most of them
idle; pairs of columns fill them, apart from the padding channel.
"""

import torch.nn.functional as F
from torch import Tensor


def stem_on_pairs(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve as ``Stem`` does: 7x7x7, stride (1, 2, 2), padding 3.

    Args:
        x: (N, 4, T, H, W) in channels_last_3d memory, W even. The fourth channel does not count.
        weight: (O, 3, 7, 7, 7).

    Returns:
        (N, O, T, H/2, W/2), the height rounded up.
    """
    n, channels, frames, height, width = x.shape
    pairs = x.permute(0, 2, 3, 4, 1).reshape(n, frames, height, width // 2, 2 * channels)
    # Output j reads the columns 2j - 4 to 2j + 3, which are four pairs. The first column is the added tap.
    padded = F.pad(pairs, (0, 0, 2, 1)).permute(0, 4, 1, 2, 3)
    return F.conv3d(padded, paired_weight(weight), stride=(1, 2, 1), padding=(3, 3, 0))


def paired_weight(weight: Tensor) -> Tensor:
    """Return (O, 8, 7, 7, 4) from (O, 3, 7, 7, 7): zeros for the fourth channel and for an eighth column."""
    outputs, _, depth, rows, _ = weight.shape
    padded = F.pad(weight, (1, 0, 0, 0, 0, 0, 0, 1)).view(outputs, 4, depth, rows, 4, 2)
    return padded.permute(0, 5, 1, 2, 3, 4).reshape(outputs, 8, depth, rows, 4)
