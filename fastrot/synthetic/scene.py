"""The background: clutter that does not reveal which way is up, unless a horizon is drawn."""

import math

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


def background(
    rng: np.random.Generator,
    size: int,
    shapes: tuple[int, int] = (14, 30),
    *,
    frame: int | None = None,
    horizon: float | None = None,
) -> Image:
    """Draw a cluttered scene.

    At the end the picture is rotated by a random number of quarter turns and mirrored at random, so that
    its four rotations are equally likely and only the figure reveals the rotation. A horizon is drawn
    after that and does reveal it.

    Args:
        rng: Random generator of the scene.
        size: Height and width in pixels.
        shapes: Smallest and largest number of shapes per frame.
        frame: Height and width of the frame that moves over the scene, the unit of the sizes and the
            number of shapes; None if the frame shows the whole scene.
        horizon: Distance in pixels from the upper edge to a horizontal line. The scene is brightened
            into a sky above it and darkened into a rough ground below it. It may be outside the picture.

    Returns:
        (size, size, 3) RGB in 0..255.
    """
    frame = size if frame is None else frame
    extent = size / frame
    y, x = (np.mgrid[:size, :size].astype(np.float32) + 0.5) / frame
    image = _gradient(rng, x, y)
    for _ in range(round(extent**2 * rng.integers(*shapes, endpoint=True))):
        cover = _shape(rng, x, y, extent, soft=1 / frame)[..., None]
        image += cover * (_paint(rng, x, y) - image)
    image += _speckle(rng, size)
    image = np.rot90(image, int(rng.integers(4)))
    if rng.integers(2):
        image = image.swapaxes(0, 1)
    if horizon is not None:
        image = _outdoors(rng, image, horizon)
    return np.ascontiguousarray(image.clip(0, 255))


def _outdoors(rng: np.random.Generator, image: Image, horizon: float) -> Image:
    """Blend a bright, even sky into the part above a row of pixels, and a dark, rough ground below it."""
    size = len(image)
    sky = rng.uniform((150, 165, 180), (200, 215, 240)).astype(np.float32)
    ground = rng.uniform((40, 40, 20), (110, 95, 80)).astype(np.float32)
    rough = rng.normal(0, rng.uniform(15, 30), (size, size, 1)).astype(np.float32)
    below = (np.arange(size, dtype=np.float32) + 1 - horizon).clip(0, 1)[:, None, None]
    outdoors: Image = (1 - below) * (0.25 * image + 0.75 * sky)
    outdoors += below * (0.5 * image + 0.5 * (ground + rough))
    return outdoors


def _colour(rng: np.random.Generator) -> Image:
    """Return a muted colour: 4:2:0 video smears saturated colours over edges."""
    colour = rng.uniform(10, 245, 3).astype(np.float32)
    muted: Image = 0.5 * colour + 0.5 * colour.mean()
    return muted


def _along(rng: np.random.Generator, x: Image, y: Image) -> Image:
    """Return the coordinate of each pixel along a random direction, zero at the centre of the frame."""
    angle = rng.uniform(0, 2 * math.pi)
    along: Image = math.cos(angle) * (x - 0.5) + math.sin(angle) * (y - 0.5)
    return along


def _gradient(rng: np.random.Generator, x: Image, y: Image) -> Image:
    share: Image = (_along(rng, x, y) / math.sqrt(2) + 0.5).clip(0, 1)[..., None]
    return (1 - share) * _colour(rng) + share * _colour(rng)


def _paint(rng: np.random.Generator, x: Image, y: Image) -> Image:
    """Return the colour of a shape: plain, shaded along a direction, or striped."""
    kind = rng.integers(3)
    if kind == 0:
        return np.broadcast_to(_colour(rng), (*x.shape, 3))
    if kind == 1:
        return _gradient(rng, x, y)
    waves = 2 * math.pi * rng.uniform(3, 12)
    share: Image = (0.5 + 0.5 * np.sin(waves * _along(rng, x, y)))[..., None]
    return (1 - share) * _colour(rng) + share * _colour(rng)


def _shape(rng: np.random.Generator, x: Image, y: Image, extent: float, *, soft: float) -> Image:
    """Return the cover (0..1) of a rotated rectangle, ellipse or bar; ``soft`` is the width of its edge."""
    # Python floats here and below: NumPy scalars would make the pictures float64.
    centre_x, centre_y = rng.uniform(-0.05, extent + 0.05, 2).tolist()
    angle = rng.uniform(0, math.pi)
    half_u, half_v = rng.uniform(0.03, 0.22, 2).tolist()
    kind = rng.integers(3)
    if kind == 2:
        # As thin as a limb, so that a still limb does not stand out.
        half_u, half_v = rng.uniform(0.08, 0.3), rng.uniform(0.012, 0.04)
    cos, sin = math.cos(angle), math.sin(angle)
    u = np.abs(cos * (x - centre_x) + sin * (y - centre_y))
    v = np.abs(cos * (y - centre_y) - sin * (x - centre_x))
    if kind == 1:
        inside = (1 - np.sqrt((u / half_u) ** 2 + (v / half_v) ** 2)) * min(half_u, half_v)
    else:
        inside = np.minimum(half_u - u, half_v - v)
    cover: Image = (inside / soft + 0.5).clip(0, 1)
    return cover


def _speckle(rng: np.random.Generator, size: int) -> Image:
    """Return random texture at two scales."""
    fine = rng.normal(0, rng.uniform(1, 8), (size, size, 1))
    cells = -(-size // 4)
    coarse = rng.normal(0, rng.uniform(2, 12), (cells, cells, 1)).repeat(4, 0).repeat(4, 1)
    return (fine + coarse[:size, :size]).astype(np.float32)
