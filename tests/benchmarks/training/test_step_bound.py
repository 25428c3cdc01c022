"""The bound's bytes against a count by hand, and against the traffic of each layer of the paper's network."""

import pytest

from benchmarks.training.step_bound import elementwise_bytes, step_bound_ms
from benchmarks.training.train_cases import FULL, Sizes

SMALL = Sizes(depth=10, width=2, frames=4, crop=16, batch=2, steps=1, matmul=64)


def test_bytes_by_hand():
    # 8 clips. The stem's output has 2 channels of 4x8x8, 8 * 512 values. The op after it reads them twice;
    # backward, it reads them and writes their gradient.
    stem = 8 * 512 * 4
    # The pool's output, 2x2x4x4, is written; its gradient is read twice, and the maxima once. The places of
    # the maxima, of a byte, are written and read twice.
    pool, places = 8 * 64 * 4, 8 * 64 * 3
    # A block moves its output 2 * (8 + 5) times for its BatchNorms and ReLUs, and 6 for the sum.
    # Blocks after the first read half of it and write all for their shortcut.
    sizes = (2 * 2 * 4 * 4, 4 * 1 * 2 * 2, 8 * 1 * 1 * 1, 16 * 1 * 1 * 1)
    blocks = sum(8 * size * 32 for size in sizes) + 8 * 1.5 * sum(sizes[1:])
    assert elementwise_bytes(SMALL, 2) == 2 * (stem + pool + blocks) + places


def test_bytes_of_the_papers_network():
    # In MB: stem, pool and the four stages, of 64, 64, 128, 256 and 512 channels.
    stem = 128 * 64 * 16 * 56**2 * 2 / 1e6
    stages = [128 * 64 * 8 * 28**2 * 2 / 1e6 / 4**stage for stage in range(4)]
    expected = 4 * stem + (4 + 3 / 2) * stages[0] + 64 * stages[0]
    # The last stage has 1x4x4 positions: half of 7 is rounded up.
    stages[3] = 128 * 512 * 1 * 4 * 4 * 2 / 1e6
    expected += sum((64 + 1.5) * values for values in stages[1:])
    assert elementwise_bytes(FULL, 2) / 1e6 == pytest.approx(expected)
    assert expected == pytest.approx(12_671, abs=1)


def test_operations_and_traffic_add_up():
    flop, traffic = 8 * SMALL.flop_per_clip, elementwise_bytes(SMALL, 4)
    rates = {"tflop_per_s": flop / 1e12, "gb_per_s": traffic / 2e9}
    assert step_bound_ms(SMALL, 4, **rates) == pytest.approx(1000 + 2000)
