"""Render a moving figure and a scene into the frames of a video."""

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
    """The view of the figure: level, without perspective.

    Attributes:
        yaw: The figure's direction in radians: it faces the right of the picture (0), away from the
            viewer (pi/2), the left (pi) or the viewer (3 pi/2).
        height: The figure's standing height, as a fraction of the frame's height.
        target: Position in the frame (right, down), as a fraction of its side, of one joint at one moment.
        aim: Selects that joint and moment (0..1); those with more motion are selected more often.
    """

    yaw: float
    height: float
    target: tuple[float, float]
    aim: float


@dataclass(frozen=True)
class Capsule:
    """A line segment with a radius and round ends; the ends are (T, 2) pixels (right, down)."""

    start: Array
    end: Array
    radius: float
    colour: Image
    depth: float
    """Nearness to the viewer; larger is nearer."""


@dataclass(frozen=True)
class Placement:
    """The position and size of a figure in the picture.

    Attributes:
        scale: Pixels per standing height.
        origin: Position (right, down), in pixels, of the point on the ground where the figure started.
    """

    scale: float
    origin: Array


def place(body: Body, joints: dict[str, Array], camera: Camera, size: int) -> Placement:
    """Compute the placement of a figure in frames of ``size`` x ``size`` pixels.

    The camera aims at points in proportion to the square of their speed. So motion and aim have the same
    distribution, and motion occurs above the target as often as below it. If each figure were placed as a
    whole within the frame, the position of the motion would reveal the rotation: most figures move their
    feet, and they are taller than wide.
    """
    points = np.stack([_project(at, camera.yaw)[0] for at in _crowned(body, joints).values()])
    steps = np.diff(points, axis=1, append=points[:, -1:])
    motion = np.cumsum(np.square(steps).sum(axis=-1) + 1e-12)  # uniform if nothing moves
    aimed = np.searchsorted(motion, camera.aim * motion[-1])
    scale = size * camera.height
    origin = size * np.array(camera.target) - scale * points.reshape(-1, 2)[aimed]
    return Placement(scale, origin)


def capsules(
    body: Body, joints: dict[str, Array], clothes: Clothes, yaw: float, placement: Placement
) -> list[Capsule]:
    """Project a figure's limbs to the picture, farthest first.

    Args:
        body: The radii.
        joints: Joint names and (T, 3) positions, as returned by ``fastrot.synthetic.figure.joints``.
        clothes: The colours.
        yaw: The yaw of the camera.
        placement: The position and size of the figure in the picture.
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
        # Limbs on the far side are a little darker, to distinguish them from the near ones.
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
    """Project (T, 3) positions to (T, 2) positions in the picture (right, down) and (T,) nearness."""
    x, y, z = np.moveaxis(position, -1, 0)
    right = x * np.cos(yaw) + z * np.sin(yaw)
    return np.stack([right, -y], axis=-1), z * np.cos(yaw) - x * np.sin(yaw)


def _crowned(body: Body, joints: dict[str, Array]) -> dict[str, Array]:
    """Add the crown of the head, where the hair is."""
    up = joints["head"] - joints["neck"]
    return joints | {"crown": joints["head"] + 0.4 * body.head / body.neck * up}


def draw(background: Image, drawn: list[Capsule], frames: int) -> Image:
    """Draw capsules on a still background.

    Args:
        background: (size, size, 3) RGB in 0..255.
        drawn: The capsules, farthest first.
        frames: Number of frames T, the same as in the capsules.

    Returns:
        (T, size, size, 3) float32 RGB.
    """
    canvas = np.repeat(background[None], frames, axis=0)
    for capsule in drawn:
        _draw(canvas, capsule)
    return canvas


def expose(pictures: Image, *, noise: float, rng: np.random.Generator) -> Frames:
    """Convert the camera's view to frames with sensor noise; ``pictures`` is modified in place.

    Args:
        pictures: (T, size, size, 3) float32 RGB.
        noise: Standard deviation of the noise on each pixel of each frame, in grey levels. Without
            noise, frame differences would be exactly zero where nothing moves.
        rng: Random generator of the noise.

    Returns:
        (T, size, size, 3) RGB frames.
    """
    pictures += noise * rng.standard_normal((*pictures.shape[:3], 1), dtype=np.float32)
    np.clip(np.rint(pictures, out=pictures), 0, 255, out=pictures)
    return pictures.astype(np.uint8)


def _draw(canvas: Image, capsule: Capsule) -> None:
    """Blend a capsule into (T, size, size, 3) frames, with its edge smoothed over one pixel."""
    size = canvas.shape[1]
    ends = np.concatenate([capsule.start, capsule.end])
    # One box for all frames, so that the computation is vectorised over frames.
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
    # A limb fills little of its box: blend only its own pixels.
    square = square[touched][:, None]
    cover = (capsule.radius + 0.5 - np.sqrt(square)).clip(0, 1)
    # Equally darker towards all edges: the limb looks round, but no light direction reveals the rotation.
    shade = (1 - 0.3 / capsule.radius**2 * square).clip(0, 1)
    box = canvas[:, top:bottom, left:right]
    behind = box[touched]
    box[touched] = behind + cover * (shade * capsule.colour - behind)
