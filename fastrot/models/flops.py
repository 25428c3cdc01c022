"""Floating-point operations per clip, computed from the layer shapes: 2 for each multiply-add.

Only the convolutions of the backbone are counted. The heads, BatchNorm, ReLU and pooling are well under 1 %.
"""

from fastrot.models.resnet3d import BLOCKS, STRIDES, Shortcut


def forward_flops(
    depth: int = 18, width: int = 64, frames: int = 16, size: int = 112, shortcut: Shortcut = "A"
) -> int:
    """Count the operations of the forward pass of one clip.

    Args:
        depth: 10, 18 or 34.
        width: Kernels of the stem.
        frames: Frames of the clip.
        size: Height and width in pixels.
        shortcut: "A", which needs no operations, or "B".

    Returns:
        FLOP per clip.
    """
    return sum(sum(block) for block in _blocks(depth, width, frames, size, shortcut))


def train_flops(
    depth: int = 18,
    width: int = 64,
    frames: int = 16,
    size: int = 112,
    shortcut: Shortcut = "A",
    *,
    frozen: int = 0,
) -> int:
    """Count the operations of the forward and backward pass of one clip.

    The backward pass of a convolution costs twice its forward pass, once for the gradient of the input and
    once for that of the weight. The gradient of the clip is not needed, so the stem costs it only once.
    Frozen blocks have no backward pass, and the convolutions that read their output cost it only once.

    Args:
        depth: 10, 18 or 34.
        width: Kernels of the stem.
        frames: Frames of the clip.
        size: Height and width in pixels.
        shortcut: "A" or "B".
        frozen: Number of the five convolution blocks that are frozen.

    Returns:
        FLOP per clip.
    """
    blocks = _blocks(depth, width, frames, size, shortcut)
    total = sum(sum(block) for block in blocks)
    for index, (first, others) in enumerate(blocks[frozen:]):
        total += (1 if index == 0 else 2) * first + 2 * others
    return total


def _blocks(
    depth: int, width: int, frames: int, size: int, shortcut: Shortcut
) -> list[tuple[int, int]]:
    """Count the operations of the forward pass of the five convolution blocks.

    Each block has two counts: the convolutions that read the input of the block, and all others.
    """
    blocks = [(stem_flops(width, frames, size), 0)]
    frames, size = _halve(frames), _halve(_halve(size))
    channels = width
    for index, (count, stride) in enumerate(zip(BLOCKS[depth], STRIDES, strict=True)):
        channels_in, channels = channels, width << index
        if stride == 2:
            frames, size = _halve(frames), _halve(size)
        positions = frames * size * size
        first = _conv(positions, channels_in, channels, kernel=27)
        if shortcut == "B" and channels_in != channels:
            first += _conv(positions, channels_in, channels, kernel=1)
        blocks.append((first, (2 * count - 1) * _conv(positions, channels, channels, kernel=27)))
    return blocks


def stem_flops(width: int, frames: int, size: int) -> int:
    """Count the operations of the forward pass of the 7x7x7 stem, 40 % of the standard network."""
    return _conv(frames * _halve(size) ** 2, 3, width, kernel=343)


def _conv(positions: int, channels_in: int, channels: int, *, kernel: int) -> int:
    return 2 * positions * channels_in * channels * kernel


def _halve(length: int) -> int:
    """Return the output length of a strided layer: half, rounded up."""
    return (length + 1) // 2
