"""What the rotation op must move at least, and how long that takes: the limit it is measured against."""

import torch
from torch import Tensor


def bytes_moved(clips: Tensor, rotations: int, dtype: torch.dtype, channels: int = 3) -> int:
    """Count the bytes of reading the clips once and writing every rotation once.

    Args:
        clips: (B, T, H, W, 3) uint8 or int16.
        rotations: R, how many rotations are written.
        dtype: Of the output.
        channels: Of the output, padding included.

    Returns:
        Bytes read and written together.
    """
    pixels = clips.numel() // 3
    read = 3 * pixels * clips.element_size()
    written = rotations * channels * pixels * dtype.itemsize
    return read + written


def floor_seconds(moved: int, bandwidth: float) -> float:
    """Return the least time for moving `moved` bytes at `bandwidth` bytes a second."""
    return moved / bandwidth
