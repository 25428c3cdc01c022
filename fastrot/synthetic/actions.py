"""The twelve actions of the demo set, as cycles of joint angles.

Several actions share poses and differ only in motion (walking and running, squatting and jumping,
bowing and falling forwards), so that a network must use temporal information.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastrot.synthetic.figure import Array, Pose, pose


@dataclass(frozen=True)
class Action:
    """One action.

    Attributes:
        angles: Maps (cycles, vigour) to a pose. Cycles is the (T,) number of cycles completed so far.
            Vigour is a factor near 1 that scales the motion of the limbs.
        period: The range of a cycle's length in frames, short enough to recognise the action in a
            clip of 16 frames.
    """

    angles: Callable[[Array, float], Pose]
    period: tuple[float, float]


def _to_and_fro(cycles: Array, low: float, high: float) -> Array:
    """Return a cosine from ``low`` to ``high`` and back in each cycle."""
    return low + (high - low) * (0.5 - 0.5 * np.cos(2 * np.pi * cycles))


def _pulse(cycles: Array) -> Array:
    """Return 0 for half of each cycle, then a smooth stroke to 1 and back."""
    return np.maximum(0, np.sin(2 * np.pi * cycles)) ** 1.5


def _stride(cycles: Array, swing: float, knee: tuple[float, float], arms: float) -> Pose:
    """Return a pose of alternating steps, with the arms swinging opposite to the legs."""
    phase = 2 * np.pi * cycles
    bent, lifted = knee
    return pose(
        len(cycles),
        hip=(swing * np.sin(phase), -swing * np.sin(phase)),
        knee=(
            bent + lifted * np.maximum(0, np.cos(phase)),
            bent + lifted * np.maximum(0, -np.cos(phase)),
        ),
        shoulder=(-arms * np.sin(phase), arms * np.sin(phase)),
        shoulder_spread=0.12,
    )


def bow(cycles: Array, vigour: float) -> Pose:
    """Bend forwards from the waist and straighten up again."""
    bend = _to_and_fro(cycles, 0.0, 1.45 * vigour)
    return pose(len(cycles), bend=bend, shoulder=0.5 * bend, shoulder_spread=0.12, elbow=0.2)


def cartwheel(cycles: Array, vigour: float) -> Pose:
    """Turn sideways over the hands with all limbs spread."""
    return pose(
        len(cycles),
        roll=2 * np.pi * cycles,
        shoulder_spread=2.5,
        hip_spread=0.6 * vigour,
        sideways=0.5 * cycles,
    )


def crawl(cycles: Array, vigour: float) -> Pose:
    """Crawl on hands and knees."""
    down, step = 1.4, 0.45 * vigour * np.sin(2 * np.pi * cycles)
    return pose(
        len(cycles),
        pitch=down,
        hip=(down + step, down - step),
        knee=1.5,
        shoulder=(down - step, down + step),
        shoulder_spread=0.1,
        elbow=0.1,
        forward=0.35 * cycles,
    )


def fall(cycles: Array, vigour: float) -> Pose:
    """Fall forwards with increasing speed, stay down for a moment, and get up slowly."""
    part = cycles % 1
    falling = np.clip(part / 0.35, 0, 1) ** 2
    rising = np.clip((part - 0.5) / 0.5, 0, 1)
    down = falling - (0.5 - 0.5 * np.cos(np.pi * rising))
    folded = np.sin(np.pi * down)
    return pose(
        len(cycles),
        pitch=1.5 * down,
        hip=0.5 * folded,
        knee=0.9 * folded,
        shoulder=1.9 * vigour * down,
        shoulder_spread=0.15 + 0.4 * down,
        elbow=0.5,
    )


def jump(cycles: Array, vigour: float) -> Pose:
    """Crouch, throw the arms up, and jump along a parabola."""
    part = cycles % 1
    crouch = np.sin(np.pi * np.clip(part / 0.55, 0, 1))
    flight = np.clip((part - 0.55) / 0.45, 0, 1)
    height = 4 * flight * (1 - flight)
    return pose(
        len(cycles),
        hip=0.9 * crouch,
        knee=1.7 * crouch,
        bend=0.5 * crouch,
        shoulder=-0.6 * crouch + 2.6 * height,
        shoulder_spread=0.15,
        elbow=0.3,
        lift=0.24 * vigour * height,
    )


def jumping_jack(cycles: Array, vigour: float) -> Pose:
    """Spread legs and arms with a hop, and close them again."""
    return pose(
        len(cycles),
        shoulder_spread=_to_and_fro(cycles, 0.2, 2.7),
        hip_spread=_to_and_fro(cycles, 0.03, 0.5 * vigour),
        lift=0.06 * np.abs(np.sin(2 * np.pi * cycles)),
    )


def kick(cycles: Array, vigour: float) -> Pose:
    """Swing one leg up to the front, with the arms raised in guard."""
    stroke = _pulse(cycles)
    chamber = _pulse(cycles + 0.12)
    return pose(
        len(cycles),
        hip=(0.0, -0.25 + 1.75 * vigour * stroke),
        knee=(0.15, 0.25 + 1.1 * chamber * (1 - stroke)),
        bend=-0.3 * stroke,
        shoulder=(0.7, 0.7 - 0.9 * stroke),
        shoulder_spread=0.15,
        elbow=1.6,
    )


def punch(cycles: Array, vigour: float) -> Pose:
    """Punch with alternating fists, in a fencer's stance."""
    left, right = _pulse(cycles), _pulse(cycles + 0.5)
    return pose(
        len(cycles),
        shoulder=(0.3 + 1.2 * left, 0.3 + 1.2 * right),
        shoulder_spread=0.15,
        elbow=(2.1 - 2.0 * vigour * left, 2.1 - 2.0 * vigour * right),
        hip=(0.4, -0.3),
        knee=(0.35, 0.15),
        bend=0.1 + 0.12 * (left + right),
    )


def run(cycles: Array, vigour: float) -> Pose:
    """Run with bent arms and a short flight at each step."""
    base = _stride(cycles, 0.8 * vigour, (0.35, 1.2), 0.7 * vigour)
    return pose(
        len(cycles),
        hip=tuple(base.hip),
        knee=tuple(base.knee),
        shoulder=tuple(base.shoulder),
        shoulder_spread=0.12,
        elbow=1.5,
        bend=0.22,
        lift=0.05 * np.abs(np.cos(2 * np.pi * cycles)),
        forward=0.5 * cycles,
    )


def squat(cycles: Array, vigour: float) -> Pose:
    """Squat down with the arms forwards, and stand up again."""
    depth = _to_and_fro(cycles, 0.0, vigour)
    return pose(
        len(cycles),
        hip=1.5 * depth,
        knee=2.2 * depth,
        bend=0.5 * depth,
        shoulder=1.3 * depth,
        shoulder_spread=0.12,
        elbow=0.2,
    )


def walk(cycles: Array, vigour: float) -> Pose:
    """Walk with swinging arms."""
    base = _stride(cycles, 0.5 * vigour, (0.1, 0.65), 0.45 * vigour)
    return pose(
        len(cycles),
        hip=tuple(base.hip),
        knee=tuple(base.knee),
        shoulder=tuple(base.shoulder),
        shoulder_spread=0.12,
        elbow=0.3,
        bend=0.05,
        forward=0.5 * cycles,
    )


def wave(cycles: Array, vigour: float) -> Pose:
    """Wave one raised hand from side to side."""
    swing = 0.9 * vigour * np.sin(2 * np.pi * cycles)
    return pose(
        len(cycles),
        shoulder_spread=(0.12, 2.0 + 0.3 * swing),
        elbow=(0.25, 0.0),
        elbow_spread=(0.0, 0.7 + swing),
        lean=-0.15 * swing,
    )


ACTIONS = {
    "Bow": Action(bow, (17, 24)),
    "Cartwheel": Action(cartwheel, (24, 32)),
    "Crawl": Action(crawl, (15, 22)),
    "Fall": Action(fall, (24, 32)),
    "Jump": Action(jump, (15, 21)),
    "JumpingJack": Action(jumping_jack, (12, 19)),
    "Kick": Action(kick, (14, 21)),
    "Punch": Action(punch, (13, 20)),
    "Run": Action(run, (12, 17)),
    "Squat": Action(squat, (15, 22)),
    "Walk": Action(walk, (17, 24)),
    "Wave": Action(wave, (9, 15)),
}
"""Maps class names, spelled in the style of UCF101, to actions, in the order of the class indices."""
