"""Frames to encode: coarse and fine detail in all colours, which moves."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SIZE = 136
"""The side of a store's frames in pixels."""


def moving_picture(frames: int, seed: int = 0) -> Iterator[NDArray[np.uint8]]:
    """Yield ``frames`` pictures, (136, 136, 3) uint8, each shifted by two pixels against the one before."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.integers(40, 216, (17, 17, 3)), np.ones((8, 8, 1), dtype=int))
    fine = rng.integers(-4, 5, (SIZE, SIZE, 1))
    picture = (coarse + fine).astype(np.uint8)
    for number in range(frames):
        yield np.roll(picture, 2 * number, axis=1)
