"""One video of the demo set: the subject, the action, the scene and the camera."""

import hashlib
import math
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from fastrot.synthetic.actions import ACTIONS
from fastrot.synthetic.camera import MARGIN, hand_held, seen
from fastrot.synthetic.figure import PAIRED, Array, Body, Pose, joints
from fastrot.synthetic.render import Camera, Clothes, Frames, capsules, draw, expose, place
from fastrot.synthetic.scene import background

CameraMotion = Literal["static", "moving"]

NOISE = 1.5
"""Standard deviation of the sensor noise, in grey levels."""

TARGETS = (0.15, 0.85), (0.35, 0.65)
"""Ranges of the position in the frame (right, down) of the figure's point at which the camera aims. The
figure may be partly outside the frame. The horizontal range is wider because figures are taller than wide;
this spreads motion equally in both directions."""


@dataclass(frozen=True)
class Shot:
    """The content of a video.

    With the same seed, equal names give equal random draws.

    Attributes:
        name: Determines how the action is performed and how the camera sees it.
        action: Key of ``fastrot.synthetic.actions.ACTIONS``.
        subject: Determines body and clothes.
        scene: Determines the background.
    """

    name: str
    action: str
    subject: str
    scene: str


def film(
    shot: Shot,
    *,
    seed: int,
    frames: int,
    size: int,
    camera: CameraMotion = "static",
    horizon: bool = False,
    figure: bool = True,
) -> Frames:
    """Render a shot. The result is a pure function of the arguments.

    Args:
        shot: The content of the video.
        seed: Seed of everything random.
        frames: Number of frames.
        size: Height and width in pixels.
        camera: "static", or "moving" for a hand-held camera.
        horizon: Whether the scene has ground and sky, with the horizon at the height of the figure's feet.
        figure: False leaves out the figure and changes nothing else.

    Returns:
        (frames, size, size, 3) uint8 RGB.
    """
    rng = stream(seed, f"shot {shot.name}")
    subject = stream(seed, f"subject {shot.subject}")
    body, clothes = _body(subject), _clothes(subject)
    found = joints(body, _perform(shot.action, frames, rng))
    if rng.integers(2):
        # Left-handed: mirror left and right.
        found = {name: position * [1, 1, -1] for name, position in found.items()}
    view = _camera(rng)
    placement = place(body, found, view, size)
    margin = math.ceil(MARGIN * size) if camera == "moving" else 0
    placement = replace(placement, origin=placement.origin + margin)
    drawn = capsules(body, found, clothes, view.yaw, placement) if figure else []
    scene = background(
        stream(seed, f"scene {shot.scene}"),
        size + 2 * margin,
        frame=size,
        horizon=float(placement.origin[1]) if horizon else None,
    )
    pictures = draw(scene, drawn, frames)
    if camera == "moving":
        pictures = seen(pictures, hand_held(stream(seed, f"hand {shot.name}"), frames), size)
    return expose(pictures, noise=NOISE, rng=rng)


def stream(seed: int, name: str) -> np.random.Generator:
    """Return a random number generator that depends only on the seed and a name."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def _perform(name: str, frames: int, rng: np.random.Generator) -> Pose:
    """Return the pose of an action with a random start, speed and manner."""
    action = ACTIONS[name]
    cycles = rng.uniform() + np.arange(frames) / rng.uniform(*action.period)
    pose = action.angles(cycles, rng.uniform(0.8, 1.1))
    # Real joints are never perfectly still, nor always at the same angle.
    angles = {
        field: getattr(pose, field) + 0.12 * rng.standard_normal((2, 1)) + _sway(rng, (2, frames))
        for field in PAIRED
    }
    angles |= {
        field: getattr(pose, field) + 0.05 * rng.standard_normal() + _sway(rng, (frames,))
        for field in ("bend", "lean", "pitch", "roll")
    }
    gone = rng.uniform(0, 1)  # 0 stays in place, as if the camera followed
    angles |= {
        field: gone * getattr(pose, field) + 0.5 * _sway(rng, (frames,))
        for field in ("forward", "sideways")
    }
    return replace(pose, **angles)


def _sway(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return slow, small motion along the last axis, with amplitude 0.03."""
    parts = (*shape[:-1], 1)
    speed, phase = rng.uniform(0.25, 0.5, parts), rng.uniform(0, 2 * np.pi, parts)
    return 0.03 * np.sin(speed * np.arange(shape[-1]) + phase)


def _camera(rng: np.random.Generator) -> Camera:
    """Return a random camera between side view and front or back view, with the same range for every action.

    An exact side view would hide the spread of a limb, and an exact front view would hide its swing.
    """
    from_side = rng.choice([-1, 1]) * rng.uniform(0.3, 1.1)
    return Camera(
        yaw=from_side + np.pi * rng.integers(2),
        height=rng.uniform(0.5, 0.7),
        target=(rng.uniform(*TARGETS[0]), rng.uniform(*TARGETS[1])),
        aim=rng.uniform(),
    )


def _body(rng: np.random.Generator) -> Body:
    """Return a body with slightly varied lengths and more varied stoutness."""
    sizes = {name: size * rng.uniform(0.88, 1.12) for name, size in asdict(Body()).items()}
    stoutness = rng.uniform(0.85, 1.35)
    for name in ("torso_radius", "arm_radius", "leg_radius"):
        sizes[name] *= stoutness
    return Body(**sizes)


def _clothes(rng: np.random.Generator) -> Clothes:
    tone = rng.uniform(0.3, 1.0)
    return Clothes(
        skin=(250 * tone, 200 * tone, 165 * tone),
        hair=_colour(rng, 10, 150),
        shirt=_colour(rng, 20, 245),
        trousers=_colour(rng, 20, 245),
        shoes=_colour(rng, 10, 245),
    )


def _colour(rng: np.random.Generator, low: float, high: float) -> tuple[float, float, float]:
    red, green, blue = rng.uniform(low, high, 3)
    return red, green, blue
