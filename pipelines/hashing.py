"""Random choices as hashes of counters, so that any of them can be computed directly.

Every choice is a hash of (seed, stream, epoch, index) instead of the next number of a generator.
"""

from enum import IntEnum, unique

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@unique
class Stream(IntEnum):
    """The purpose of a choice, which makes it independent of the others with the same seed and index.

    Two purposes must not share a number: a clip's zoom would reveal its rotation. A number that is changed
    changes every run that draws from it.
    """

    ORDER = 0
    START = 1
    CROP_Y = 2
    CROP_X = 3
    FLIP = 4
    SHOTS = 5
    SUBSET = 6
    ANGLE = 16
    PHASES = 32
    SPEED = 48
    REGION_AREA = 64
    REGION_ASPECT = 65
    REGION_Y = 66
    REGION_X = 67
    GREY = 68
    GAIN = 69
    POLARITY = 70


# SplitMix64's constants.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def hash_bits(seed: int, stream: int | Ints, epoch: Ints, index: Ints) -> NDArray[np.uint64]:
    """Return 64 random bits for each (epoch, index), from SplitMix64's finaliser over the chained counters.

    For an array of streams, (S, 1), the result is (S, B): one call makes all choices of a batch.
    """
    bits = np.asarray(seed % 2**64, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for word in (stream, epoch, index):
            bits = (bits ^ np.asarray(word).astype(np.uint64)) + _GAMMA
            bits = (bits ^ (bits >> _SHIFTS[0])) * _FACTORS[0]
            bits = (bits ^ (bits >> _SHIFTS[1])) * _FACTORS[1]
            bits = bits ^ (bits >> _SHIFTS[2])
    return bits


def hash_uniform(seed: int, stream: int | Ints, epoch: Ints, index: Ints) -> NDArray[np.float64]:
    """Return a uniform number in [0, 1) for each (epoch, index), with streams as in ``hash_bits``."""
    bits = hash_bits(seed, stream, epoch, index) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def hash_below(seed: int, stream: int, epoch: Ints, index: Ints, below: Ints) -> Ints:
    """Return a uniform integer in [0, below) for each (epoch, index)."""
    return (hash_uniform(seed, stream, epoch, index) * below).astype(np.int64)


def shuffled(seed: int, stream: int, epoch: int, count: int) -> Ints:
    """Return a permutation of 0 to ``count - 1``, made by sorting hashes: the same on every platform."""
    index = np.arange(count, dtype=np.int64)
    bits = hash_bits(seed, stream, np.full_like(index, epoch), index)
    return np.argsort(bits, kind="stable")
