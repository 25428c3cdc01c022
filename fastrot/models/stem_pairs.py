"""The stem (section 3.3) on pairs of columns: clips are read as clips of half the width and 8 channels.

A GPU's matrix units take 8 channels of half precision at a time. Clips of 3 channels leave most of them idle;
pairs of columns of 4 channels fill them, apart from the fourth.
"""

import torch.nn.functional as F
from torch import Tensor


def stem_on_pairs(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve as ``Stem`` does: 7x7x7, stride (1, 2, 2), padding 3.

    Args:
        x: (N, C, T, H, W), C at least 3, in channels_last_3d memory. Channels after the third do not count.
        weight: (O, 3, 7, 7, 7).

    Returns:
        (N, O, T, H/2, W/2), rounded up.
    """
    clips, _, frames, height, width = x.shape
    # Output j reads the columns 2j - 4 to 2j + 3, which are four pairs. The first column is the added tap.
    # Clips and frames are one axis here, because pad takes some 5-D tensors for clips in another format.
    columns = x[:, :3].permute(0, 2, 3, 4, 1).flatten(0, 1)
    pairs = F.pad(columns, (0, 1, 4, 2 + width % 2)).view(clips, frames, height, -1, 8)
    return F.conv3d(
        pairs.permute(0, 4, 1, 2, 3), paired_weight(weight), stride=(1, 2, 1), padding=(3, 3, 0)
    )


def paired_weight(weight: Tensor) -> Tensor:
    """Return (O, 8, 7, 7, 4) in channels_last_3d memory from (O, 3, 7, 7, 7).

    The taps of the fourth channel and of the first column are zeros.
    """
    outputs, _, depth, rows, _ = weight.shape
    columns = weight.permute(0, 2, 3, 4, 1).flatten(0, 1)
    pairs = F.pad(columns, (0, 1, 1, 0)).view(outputs, depth, rows, 4, 8)
    return pairs.permute(0, 4, 1, 2, 3)
