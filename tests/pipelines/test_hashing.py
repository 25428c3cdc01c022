"""Choices made by hashes: known values, and no two that depend on each other."""

import itertools

import numpy as np
import pytest

from pipelines.hashing import Stream, hash_bits, hash_uniform

SAMPLES = np.arange(4000)


def splitmix(seed, *words):
    """SplitMix64's finaliser over chained words, in Python's integers."""
    mask = 2**64 - 1
    bits = seed
    for word in words:
        bits = ((bits ^ word) + 0x9E3779B97F4A7C15) & mask
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & mask
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & mask
        bits ^= bits >> 31
    return bits


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_the_hash_is_splitmix64s(seed):
    (found,) = hash_bits(seed, Stream.FLIP, np.array([3]), np.array([11]))
    assert int(found) == splitmix(seed, 4, 3, 11)


def test_no_two_purposes_draw_the_same_numbers():
    """A purpose is its number: equal ones would make a clip's zoom follow its rotation, for example."""
    drawn = {
        stream: hash_uniform(0, int(stream), np.zeros_like(SAMPLES), SAMPLES) for stream in Stream
    }
    for one, other in itertools.combinations(drawn, 2):
        # The standard error of a correlation of 0 is 0.016; of 136 pairs none should exceed 5 of them.
        assert abs(np.corrcoef(drawn[one], drawn[other])[0, 1]) < 0.08, (one, other)
