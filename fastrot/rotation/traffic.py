"""The least memory traffic of the rotation op and the time it takes, as a lower bound for benchmarks."""

import torch
from torch import Tensor


def bytes_moved(clips: Tensor, rotations: int, dtype: torch.dtype, channels: int = 3) -> int:
    """Count the bytes of reading the clips once and writing every rotation once.

    Args:
        clips: (B, T, H, W, 3) uint8 or int16.
        rotations: R, the number of rotations written.
        dtype: Of the output.
        channels: Of the output, padding included.

    Returns:
        Total bytes read and written.
    """
    pixels = clips.numel() // 3
    read = 3 * pixels * clips.element_size()
    written = rotations * channels * pixels * dtype.itemsize
    return read + written


def floor_seconds(moved: int, bandwidth: float) -> float:
    """Return the least time for moving ``moved`` bytes at ``bandwidth`` bytes per second."""
    return moved / bandwidth
