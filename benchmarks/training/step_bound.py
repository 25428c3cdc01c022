"""The time that an eager training step cannot go below: its useful operations, then its other memory traffic.

Convolutions run at the measured rate of matrix products. BatchNorm, ReLU, sums and the stem's tail run
between them at the measured rate of copies. The convolutions' own traffic is hidden behind their operations.
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

TAIL_INPUT = 2 + 2
"""Of the stem's output, by the op that normalises and pools it: two reads; backward, a read and a write."""

TAIL_OUTPUT = 1 + 3
"""Of the pooled result: written; backward, its gradient and the maxima are read for the sums, then the
gradient once more."""

TAIL_PLACES = 1 + 2
"""Of the places of the maxima, a byte each: written; read for the sums, and once more."""


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
    """Return the bytes that a step reads and writes between its convolutions.

    The stem's tail is one op; BatchNorm, ReLU, sums and shortcuts of the blocks are not fused.
    """
    frames, side = sizes.frames, -(-sizes.crop // 2)
    clips = 4 * sizes.batch
    stem = clips * sizes.width * frames * side**2
    total: float = stem * value_bytes * TAIL_INPUT
    frames, side = -(-frames // 2), -(-side // 2)
    pooled = clips * sizes.width * frames * side**2
    total += pooled * (TAIL_OUTPUT * value_bytes + TAIL_PLACES)
    block = 2 * (BATCH_NORM + RELU) + SUM
    for index, (count, stride) in enumerate(zip(BLOCKS[sizes.depth], STRIDES, strict=True)):
        if stride == 2:
            frames, side = -(-frames // 2), -(-side // 2)
        values = clips * (sizes.width << index) * frames * side**2
        shortcut = SHORTCUT if stride == 2 else 0
        total += values * value_bytes * (count * block + shortcut)
    return total
