"""A hand-held camera: its motion, and its view of a picture that is larger than the frame."""

from dataclasses import dataclass

import numpy as np

from fastrot.synthetic.figure import Array
from fastrot.synthetic.scene import Image

MARGIN = 0.25
"""How far the picture must extend beyond each edge of the frame, as a fraction of the frame's side."""

_STEADIED = 0.0125  # largest displacement by the shake


@dataclass(frozen=True)
class CameraPath:
    """The position and zoom of a camera in each frame. There is no parallax.

    Attributes:
        shift: (T, 2) centre of the view relative to the centre of the picture (right, down), as a
            fraction of the frame's side.
        zoom: (T,) magnification.
    """

    shift: Array
    zoom: Array


def hand_held(rng: np.random.Generator, frames: int) -> CameraPath:
    """Return a random path: a slow pan, a slow zoom, and a shake.

    The pan oscillates. In frames of 80 pixels its highest speed is 1 to 4 pixels per frame, to the left
    as often as to the right. As in real videos, it is mostly horizontal: the vertical part is a quarter
    of the horizontal one, up as often as down. So only its axis gives information about the rotation,
    and only about quarter turns. The shake is at most one pixel in such frames and has no preferred
    direction.
    """
    time = np.arange(float(frames))
    pan = rng.uniform(0.05, 0.14, 2) * np.array([1, 0.25])
    shift = pan * _swings(rng, time, 2)
    rate = rng.uniform(0.02, 0.08) * _swings(rng, time, 1)[:, 0]
    shake = rng.standard_normal((frames + 2, 2))
    shake = (shake[:-2] + 2 * shake[1:-1] + shake[2:]) / 4
    shift = shift + (rng.uniform(0.003, 0.01) * shake).clip(-_STEADIED, _STEADIED)
    return CameraPath(shift, np.exp(rate))


def _swings(rng: np.random.Generator, time: Array, count: int) -> Array:
    """Return (T, count) sines of random period and phase."""
    period, phase = rng.uniform(18, 40, count), rng.uniform(0, 2 * np.pi, count)
    swings: Array = np.sin(2 * np.pi * time[:, None] / period + phase)
    return swings


def seen(pictures: Image, path: CameraPath, size: int) -> Image:
    """Sample the camera's view of each picture, with bilinear interpolation.

    Args:
        pictures: (T, S, S, 3). For a path from ``hand_held``, S is at least ``size * (1 + 2 * MARGIN)``.
        path: The path of the camera.
        size: Height and width of the frame in pixels.

    Returns:
        (T, size, size, 3) float32.
    """
    frames, side = pictures.shape[:2]
    grid = np.arange(size) + 0.5 - size / 2
    views = np.empty((frames, size, size, 3), np.float32)
    for frame in range(frames):
        middle = side / 2 - 0.5 + size * path.shift[frame]
        right, down = (at + grid / path.zoom[frame] for at in middle)
        rows = _interpolate(pictures[frame], down)
        views[frame] = _interpolate(rows.swapaxes(0, 1), right).swapaxes(0, 1)
    return views


def _interpolate(lines: Image, at: Array) -> Image:
    """Sample lines along the first axis at fractional positions, all within the picture."""
    first = np.floor(at).astype(int)
    share = (at - first).astype(np.float32)[:, None, None]
    between: Image = (1 - share) * lines[first] + share * lines[first + 1]
    return between
