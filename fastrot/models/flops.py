"""How many floating-point operations a clip costs, by arithmetic: 2 for each multiply-add.

Only the backbone's convolutions count. The heads, BatchNorm, ReLU and pooling are well under 1 %.
"""

from fastrot.models.resnet3d import BLOCKS, STRIDES, Shortcut


def forward_flops(
    depth: int = 18, width: int = 64, frames: int = 16, size: int = 112, shortcut: Shortcut = "A"
) -> int:
    """Count the forward pass of one clip.

    Args:
        depth: 10, 18 or 34.
        width: Kernels of the stem.
        frames: Frames of the clip.
        size: Height and width in pixels.
        shortcut: "A", which costs nothing, or "B".

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
    """Count the forward and backward pass of one clip; what is not said here is `forward_flops`'s.

    Backward costs each convolution its forward twice, once for the input's gradient and once for the
    weight's. Nobody needs the clip's own gradient, so the stem pays once. Frozen blocks pay nothing, and
    behind them the convolutions that read their output pay once.

    Args:
        depth: 10, 18 or 34.
        width: Kernels of the stem.
        frames: Frames of the clip.
        size: Height and width in pixels.
        shortcut: "A" or "B".
        frozen: How many of the five convolution blocks are not trained.

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
    """Count the forward pass of the five convolution blocks.

    Each is told in two parts: the convolutions that read the block's input, and the others.
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
    """Count the forward pass of the 7x7x7 stem, 40 % of the standard network's."""
    return _conv(frames * _halve(size) ** 2, 3, width, kernel=343)


def _conv(positions: int, channels_in: int, channels: int, *, kernel: int) -> int:
    return 2 * positions * channels_in * channels * kernel


def _halve(length: int) -> int:
    """Give the output length of every strided layer of the network: half, rounded up."""
    return (length + 1) // 2
