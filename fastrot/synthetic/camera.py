"""A camera held in the hand: how it moves, and what it sees of a picture larger than the frame."""

from dataclasses import dataclass

import numpy as np

from fastrot.synthetic.figure import Array
from fastrot.synthetic.scene import Image

MARGIN = 0.25
"""How far the picture must go on beyond each side of the frame, as a share of its side."""

_STEADIED = 0.0125  # the farthest that a shake goes


@dataclass(frozen=True)
class CameraPath:
    """Where a camera points, frame by frame.

    ``shift`` is (T, 2) the middle of what it sees (right, down) from the middle of the picture, as a
    share of the frame's side; ``zoom`` is (T,) magnifications. All that is seen moves as one, as far
    things do: there is no parallax.
    """

    shift: Array
    zoom: Array


def hand_held(rng: np.random.Generator, frames: int) -> CameraPath:
    """A random path: a slow pan, a slow zoom, and a shake.

    The pan goes to and fro, of 80 pixels by 1 to 4 a frame at its fastest, as often to the left as to
    the right. Like anybody's who films on a ground it is mostly horizontal: its vertical part is a
    quarter of the horizontal one, as often up as down. So its axis, and nothing else of it, tells a
    quarter turn. The shake, a pixel at most of such frames, has no direction.
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
    """(T, count) sines of random period and phase."""
    period, phase = rng.uniform(18, 40, count), rng.uniform(0, 2 * np.pi, count)
    swings: Array = np.sin(2 * np.pi * time[:, None] / period + phase)
    return swings


def seen(pictures: Image, path: CameraPath, size: int) -> Image:
    """Sample what a camera sees of each picture, bilinearly.

    Args:
        pictures: (T, S, S, 3), S at least ``size`` * (1 + 2 `MARGIN`) for a path of `hand_held`.
        path: Where the camera points.
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
    """Take lines along the first axis at fractional places, all within the picture."""
    first = np.floor(at).astype(int)
    share = (at - first).astype(np.float32)[:, None, None]
    between: Image = (1 - share) * lines[first] + share * lines[first + 1]
    return between
