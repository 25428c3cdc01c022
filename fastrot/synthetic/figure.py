"""An articulated human figure: body proportions, joint angles and joint positions."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEFT, RIGHT = 0, 1


@dataclass(frozen=True)
class Body:
    """Lengths and radii of a figure, as fractions of its standing height."""

    torso: float = 0.29
    neck: float = 0.10
    head: float = 0.07
    shoulders: float = 0.22
    hips: float = 0.13
    upper_arm: float = 0.17
    forearm: float = 0.18
    thigh: float = 0.25
    shin: float = 0.25
    foot: float = 0.08
    torso_radius: float = 0.075
    arm_radius: float = 0.032
    leg_radius: float = 0.045


@dataclass(frozen=True)
class Pose:
    """Joint angles of a figure over T frames, in radians; all zero is standing with hanging arms.

    Paired fields broadcast to (2, T), left side first; the others to (T,). Swings (``shoulder``,
    ``hip``) are positive forwards. Spreads are positive away from the body. For an arm raised
    overhead, either the swing or the spread is pi. ``elbow`` is added to the swing of the forearm and
    ``elbow_spread`` to its spread. ``knee`` is subtracted from the swing of the shin.
    """

    shoulder: Array
    shoulder_spread: Array
    elbow: Array
    elbow_spread: Array
    hip: Array
    hip_spread: Array
    knee: Array
    bend: Array
    """Bending of the trunk relative to the pelvis, positive forwards."""
    lean: Array
    """Bending of the trunk sideways, positive to the right."""
    pitch: Array
    """Turn of the whole body about its lateral axis, positive forwards."""
    roll: Array
    """Turn of the whole body about its forward axis, positive to the right."""
    lift: Array
    """Height of the lowest joint above the ground, in standing heights."""
    forward: Array
    """Forward displacement, in standing heights."""
    sideways: Array
    """Displacement to the right, in standing heights."""


PAIRED = ("shoulder", "shoulder_spread", "elbow", "elbow_spread", "hip", "hip_spread", "knee")


def pose(frames: int, **angles: Array | float | tuple[Array | float, ...]) -> Pose:
    """Return a pose of ``frames`` frames; fields that are not given are zero.

    Args:
        frames: Number of frames T.
        **angles: Fields of ``Pose``. For a paired field, a tuple is (left, right), and a single value or
            (T,) array applies to both sides.
    """
    unknown = set(angles) - {f.name for f in fields(Pose)}
    if unknown:
        raise ValueError(f"unknown fields of Pose: {', '.join(sorted(unknown))}")
    values: dict[str, Array] = {}
    for field in fields(Pose):
        given = angles.get(field.name, 0.0)
        sides = given if isinstance(given, tuple) else (given, given)
        if field.name in PAIRED:
            values[field.name] = np.stack([np.broadcast_to(s, frames) for s in sides]) * 1.0
        else:
            values[field.name] = np.broadcast_to(np.asarray(given, float), frames) * 1.0
    return Pose(**values)


def direction(swing: Array, spread: Array, side: int) -> Array:
    """Return (T, 3) unit vectors of a limb that hangs down at swing 0 and spread 0.

    The axes are forwards, up, and to the right. A limb of the left side spreads to the left.
    """
    outward = np.sin(spread) * (1 if side == RIGHT else -1)
    return np.stack(
        [np.sin(swing) * np.cos(spread), -np.cos(swing) * np.cos(spread), outward], axis=-1
    )


def turn(vectors: Array, pitch: Array, roll: Array) -> Array:
    """Turn (T, 3) vectors to the right by ``roll``, then forwards by ``pitch``."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    y, z = y * np.cos(roll) - z * np.sin(roll), y * np.sin(roll) + z * np.cos(roll)
    x, y = x * np.cos(pitch) + y * np.sin(pitch), y * np.cos(pitch) - x * np.sin(pitch)
    return np.stack([x, y, z], axis=-1)


def joints(body: Body, pose: Pose) -> dict[str, Array]:
    """Compute the position of each joint, by forward kinematics.

    Returns:
        Joint names and (T, 3) positions in standing heights: forwards, up, to the right. The joints
        are ``pelvis``, ``chest``, ``neck``, ``head`` (its centre), and ``left_`` and ``right_``
        ``shoulder``, ``elbow``, ``hand``, ``hip``, ``knee``, ``ankle``, ``toe``. The lowest joint of
        every frame is ``pose.lift`` above the ground, which is at height 0.
    """
    frames = len(pose.bend)

    def on_pelvis(vectors: Array) -> Array:
        return turn(vectors, pose.pitch, pose.roll)

    def on_trunk(vectors: Array) -> Array:
        return on_pelvis(turn(vectors, pose.bend, pose.lean))

    def constant(x: float, y: float, z: float) -> Array:
        return np.broadcast_to(np.array([x, y, z]), (frames, 3))

    found: dict[str, Array] = {"pelvis": np.zeros((frames, 3))}
    found["chest"] = on_trunk(constant(0, 0.8 * body.torso, 0))
    found["neck"] = on_trunk(constant(0, body.torso, 0))
    found["head"] = on_trunk(constant(0, body.torso + body.neck, 0))
    for side, name in ((LEFT, "left"), (RIGHT, "right")):
        sign = 1 if side == RIGHT else -1
        swing, spread = pose.shoulder[side], pose.shoulder_spread[side]
        shoulder = on_trunk(constant(0, 0.95 * body.torso, sign * body.shoulders / 2))
        elbow = shoulder + body.upper_arm * on_trunk(direction(swing, spread, side))
        forearm = direction(swing + pose.elbow[side], spread + pose.elbow_spread[side], side)
        hand = elbow + body.forearm * on_trunk(forearm)
        swing, spread = pose.hip[side], pose.hip_spread[side]
        hip = on_pelvis(constant(0, 0, sign * body.hips / 2))
        knee = hip + body.thigh * on_pelvis(direction(swing, spread, side))
        swing = swing - pose.knee[side]
        ankle = knee + body.shin * on_pelvis(direction(swing, spread, side))
        toe = ankle + body.foot * on_pelvis(direction(swing + np.pi / 2, 0 * spread, side))
        limb = {"shoulder": shoulder, "elbow": elbow, "hand": hand}
        limb |= {"hip": hip, "knee": knee, "ankle": ankle, "toe": toe}
        found |= {f"{name}_{joint}": position for joint, position in limb.items()}
    lowest = np.min([position[:, 1] for position in found.values()], axis=0)
    offset = np.stack([pose.forward, pose.lift - lowest, pose.sideways], axis=-1)
    return {joint: position + offset for joint, position in found.items()}
