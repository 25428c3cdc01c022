"""From a moving figure and a scene to the frames of a video."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastrot.synthetic.figure import Array, Body
from fastrot.synthetic.scene import Image

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Clothes:
    """The colours of a figure, RGB in 0..255."""

    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    shirt: tuple[float, float, float]
    trousers: tuple[float, float, float]
    shoes: tuple[float, float, float]


@dataclass(frozen=True)
class Camera:
    """How the figure is seen: level, without perspective.

    ``yaw`` is the angle in radians by which the figure is turned from facing the right of the
    picture (0) to facing away from the viewer (pi/2), the left (pi) and the viewer (3 pi/2).
    ``height`` is the figure's standing height, as a share of the frame's. ``target`` is the place in
    the frame (right, down), in shares of its side, of one joint at one moment. ``aim`` (0..1) picks that
    joint and moment; it picks those that move much more often than those that move little.
    """

    yaw: float
    height: float
    target: tuple[float, float]
    aim: float


@dataclass(frozen=True)
class Capsule:
    """A stretch between two points with round ends: (T, 2) pixels (right, down), and a radius."""

    start: Array
    end: Array
    radius: float
    colour: Image
    depth: float
    """How near it is to the viewer."""


@dataclass(frozen=True)
class Placement:
    """Where a figure is in the picture: pixels per standing height, and a point on its ground.

    ``origin`` is the place (right, down), in pixels, of what lies at height 0 where it started.
    """

    scale: float
    origin: Array


def place(body: Body, joints: dict[str, Array], camera: Camera, size: int) -> Placement:
    """Find where a camera sees a figure in frames of ``size`` x ``size`` pixels.

    A point with much motion is aimed at more often than one with little (by the square of its speed),
    so that where motion is and where the camera aims are distributed alike, and motion is found above
    the target as often as below it. Figures placed as a whole, each within the frame, would tell the
    rotation by where in the frame they move: most of them move their feet, and are taller than wide.
    """
    points = np.stack([_project(at, camera.yaw)[0] for at in _crowned(body, joints).values()])
    steps = np.diff(points, axis=1, append=points[:, -1:])
    motion = np.cumsum(np.square(steps).sum(axis=-1) + 1e-12)  # all alike where nothing moves
    aimed = np.searchsorted(motion, camera.aim * motion[-1])
    scale = size * camera.height
    origin = size * np.array(camera.target) - scale * points.reshape(-1, 2)[aimed]
    return Placement(scale, origin)


def capsules(
    body: Body, joints: dict[str, Array], clothes: Clothes, yaw: float, placement: Placement
) -> list[Capsule]:
    """Project a figure's limbs to the picture, the farthest first.

    Args:
        body: Gives the radii.
        joints: Joint name to (T, 3) positions, as `fastrot.synthetic.figure.joints` gives them.
        clothes: Gives the colours.
        yaw: The camera's.
        placement: Where the figure is in the picture.
    """
    arm, leg, torso = body.arm_radius, body.leg_radius, body.torso_radius
    parts = [
        ("pelvis", "chest", torso, clothes.shirt),
        ("left_shoulder", "right_shoulder", 1.3 * arm, clothes.shirt),
        ("left_hip", "right_hip", 1.3 * leg, clothes.trousers),
        ("neck", "head", 1.1 * arm, clothes.skin),
        ("head", "head", body.head, clothes.skin),
        ("crown", "crown", 0.82 * body.head, clothes.hair),
    ]
    for side in ("left", "right"):
        parts += [
            (f"{side}_shoulder", f"{side}_elbow", 1.1 * arm, clothes.shirt),
            (f"{side}_elbow", f"{side}_hand", 0.9 * arm, clothes.skin),
            (f"{side}_hip", f"{side}_knee", 1.15 * leg, clothes.trousers),
            (f"{side}_knee", f"{side}_ankle", 0.85 * leg, clothes.trousers),
            (f"{side}_ankle", f"{side}_toe", 0.7 * leg, clothes.shoes),
        ]
    flat = {name: _project(at, yaw) for name, at in _crowned(body, joints).items()}
    scale, origin = placement.scale, placement.origin
    drawn = []
    for start, end, radius, colour in parts:
        depth = float(np.mean(flat[start][1] + flat[end][1])) / 2
        # Limbs on the far side are a little darker, so that they stand out against the near ones.
        shade = np.clip(0.88 + 0.9 * depth, 0.7, 1.0)
        if start in ("head", "crown"):
            depth += radius
        drawn.append(
            Capsule(
                start=origin + scale * flat[start][0],
                end=origin + scale * flat[end][0],
                radius=scale * radius,
                colour=(shade * np.array(colour)).astype(np.float32),
                depth=depth,
            )
        )
    return sorted(drawn, key=lambda capsule: capsule.depth)


def _project(position: Array, yaw: float) -> tuple[Array, Array]:
    """(T, 3) positions to (T, 2) positions in the picture (right, down), and (T,) nearness."""
    x, y, z = np.moveaxis(position, -1, 0)
    right = x * np.cos(yaw) + z * np.sin(yaw)
    return np.stack([right, -y], axis=-1), z * np.cos(yaw) - x * np.sin(yaw)


def _crowned(body: Body, joints: dict[str, Array]) -> dict[str, Array]:
    """Add the crown of the head, where the hair is."""
    up = joints["head"] - joints["neck"]
    return joints | {"crown": joints["head"] + 0.4 * body.head / body.neck * up}


def draw(background: Image, drawn: list[Capsule], frames: int) -> Image:
    """Draw capsules over a still background.

    Args:
        background: (size, size, 3) RGB in 0..255.
        drawn: The capsules, the farthest first.
        frames: The number of frames T, that of the capsules' places.

    Returns:
        (T, size, size, 3) float32 RGB.
    """
    canvas = np.repeat(background[None], frames, axis=0)
    for capsule in drawn:
        _draw(canvas, capsule)
    return canvas


def expose(pictures: Image, *, noise: float, rng: np.random.Generator) -> Frames:
    """Turn what is seen into frames, with sensor noise; ``pictures`` is changed.

    Args:
        pictures: (T, size, size, 3) float32 RGB.
        noise: Standard deviation of the noise on each pixel of each frame, in grey levels. Without
            it the differences of frames would be exactly zero where nothing moves.
        rng: Where the noise comes from.

    Returns:
        (T, size, size, 3) RGB frames.
    """
    pictures += noise * rng.standard_normal((*pictures.shape[:3], 1), dtype=np.float32)
    np.clip(np.rint(pictures, out=pictures), 0, 255, out=pictures)
    return pictures.astype(np.uint8)


def _draw(canvas: Image, capsule: Capsule) -> None:
    """Blend a capsule into (T, size, size, 3) frames, its edge smoothed over one pixel."""
    size = canvas.shape[1]
    ends = np.concatenate([capsule.start, capsule.end])
    # One box for all frames: the arithmetic then runs over all of them at once.
    left, top = np.clip(np.floor(ends.min(axis=0) - capsule.radius - 1), 0, size).astype(int)
    right, bottom = np.clip(np.ceil(ends.max(axis=0) + capsule.radius + 1), 0, size).astype(int)
    if left >= right or top >= bottom:
        return
    x = np.arange(left, right, dtype=np.float32) + 0.5
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5
    start = capsule.start.astype(np.float32)
    along = (capsule.end - capsule.start).astype(np.float32)
    from_x = x - start[:, 0, None, None]
    from_y = y - start[:, 1, None, None]
    along_x, along_y = along[:, 0, None, None], along[:, 1, None, None]
    length = np.maximum(along_x**2 + along_y**2, 1e-6)
    share = ((from_x * along_x + from_y * along_y) / length).clip(0, 1)
    square = (from_x - share * along_x) ** 2 + (from_y - share * along_y) ** 2
    touched = square < (capsule.radius + 0.5) ** 2
    # A limb fills little of its box: blend its own pixels only.
    square = square[touched][:, None]
    cover = (capsule.radius + 0.5 - np.sqrt(square)).clip(0, 1)
    # Darker towards the edge on all sides alike: round, but lit from nowhere.
    shade = (1 - 0.3 / capsule.radius**2 * square).clip(0, 1)
    box = canvas[:, top:bottom, left:right]
    behind = box[touched]
    box[touched] = behind + cover * (shade * capsule.colour - behind)
