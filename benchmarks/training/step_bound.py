"""The time that an eager training step cannot go below: its useful operations, then its other memory traffic.

Convolutions run at the measured rate of matrix products. BatchNorm, ReLU, sums and the pool run between them
at the measured rate of copies. The convolutions' own traffic is hidden behind their operations.
"""

from benchmarks.training.train_cases import Sizes
from fastrot.models.resnet3d import BLOCKS, STRIDES

BATCH_NORM = 3 + 5
"""How often BatchNorm moves its output's bytes: statistics, read and write; backward, two reads for the sums,
then two reads and a write."""

RELU = 2 + 3
"""Read and write in place; backward, two reads and a write."""

SUM = 3 + 3
"""Of a block's two paths: two reads and a write, and the same for the sum of their gradients."""

SHORTCUT = 1.5
"""Of a block that changes the shape: half its channels are read, all are written."""

_POOL_INPUT = 1 + 3  # read; backward, zeros are written, then read and written again
_POOL_OUTPUT = 1 + 1  # written; its gradient is read
_POOL_INDICES = 1 + 1  # written and read
_INDEX_BYTES = 8  # torch's indices are int64


def step_bound_ms(sizes: Sizes, value_bytes: int, *, tflop_per_s: float, gb_per_s: float) -> float:
    """Return the milliseconds of a step at this card's own rates.

    Args:
        sizes: The network and the batch.
        value_bytes: Bytes of an activation: 2 in half precision.
        tflop_per_s: The measured rate of a product of large matrices.
        gb_per_s: The measured rate of a copy, bytes read and written both counted.
    """
    flop = 4 * sizes.batch * sizes.flop_per_clip
    traffic = elementwise_bytes(sizes, value_bytes)
    return 1e3 * (flop / (tflop_per_s * 1e12) + traffic / (gb_per_s * 1e9))


def elementwise_bytes(sizes: Sizes, value_bytes: int) -> float:
    """Return the bytes that a step's BatchNorm, ReLU, sums, shortcuts and pool read and write, unfused."""
    frames, side = sizes.frames, -(-sizes.crop // 2)
    clips = 4 * sizes.batch
    stem = clips * sizes.width * frames * side**2
    total: float = stem * value_bytes * (BATCH_NORM + RELU + _POOL_INPUT)
    frames, side = -(-frames // 2), -(-side // 2)
    pooled = clips * sizes.width * frames * side**2
    total += pooled * (_POOL_OUTPUT * value_bytes + _POOL_INDICES * _INDEX_BYTES)
    block = 2 * (BATCH_NORM + RELU) + SUM
    for index, (count, stride) in enumerate(zip(BLOCKS[sizes.depth], STRIDES, strict=True)):
        if stride == 2:
            frames, side = -(-frames // 2), -(-side // 2)
        values = clips * (sizes.width << index) * frames * side**2
        shortcut = SHORTCUT if stride == 2 else 0
        total += values * value_bytes * (count * block + shortcut)
    return total
