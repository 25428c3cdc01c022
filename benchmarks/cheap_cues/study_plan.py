"""The conditions of the cheap-cues study and its trainings, in the order in which they run."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fastrot.synthetic.film import CameraMotion

REMEDY = ("data.camera_motion=remove", "data.dead_zone=16")
"""Changes to a config that remove the motion of the camera."""


@dataclass(frozen=True)
class Condition:
    """Videos of a demo set as a network sees them: as DIF, with or without the motion of the camera.

    Attributes:
        camera: Camera of the demo set.
        horizon: Whether its scenes have a horizon.
        removed: Whether the motion of the camera is removed.
    """

    camera: CameraMotion
    horizon: bool = False
    removed: bool = False

    @property
    def videos(self) -> str:
        """Name of the demo set, such as ``moving-horizon``."""
        return f"{self.camera}-{'horizon' if self.horizon else 'plain'}"

    @property
    def name(self) -> str:
        """Name of the condition, such as ``moving-horizon-removed``."""
        return f"{self.videos}-removed" if self.removed else self.videos

    @property
    def changes(self) -> tuple[str, ...]:
        """The changes to the demo's configs that train on this input."""
        return ("data.modality=dif", *(REMEDY if self.removed else ()))


CLEAN = Condition("static")
TRAP = Condition("moving", horizon=True)
CROSS = (CLEAN, TRAP)
"""Each of these pre-trains for each of these, once per seed."""

OTHERS = (
    Condition("moving", horizon=True, removed=True),
    Condition("static", horizon=True),
    Condition("moving"),
)
"""One pre-training each, fine-tuned under the same condition."""

CONDITIONS = (*CROSS, *OTHERS)


@dataclass(frozen=True)
class Pretraining:
    """A training on rotations of the unlabelled videos."""

    condition: Condition
    seed: int

    @property
    def key(self) -> str:
        """Name of the run and of its results."""
        return f"pretrain-{self.condition.name}-{self.seed}"

    @property
    def tested(self) -> tuple[Condition, ...]:
        """The conditions under which the network is measured without fine-tuning."""
        return CROSS if self.condition in CROSS else (self.condition,)


@dataclass(frozen=True)
class Transfer:
    """A training on actions.

    ``start`` is the pre-training that it continues, or "scratch". "supervised" also starts from random
    weights, but trains on all labelled training videos instead of a few per class.
    """

    start: Pretraining | Literal["scratch", "supervised"]
    condition: Condition
    seed: int

    @property
    def key(self) -> str:
        """Name of the run and of its results."""
        return transfer_key(
            self.start if isinstance(self.start, str) else self.start.condition.name,
            self.condition.name,
            self.seed,
        )


Training = Pretraining | Transfer


def transfer_key(start: str, condition: str, seed: int) -> str:
    """Return the name of a transfer; ``start`` is a condition's name, "scratch" or "supervised"."""
    return f"finetune-{condition}-from-{start}-{seed}"


def plan(seeds: int) -> Iterator[Training]:
    """Yield all trainings, each after the one whose weights it needs, and the cross first."""
    for seed in range(seeds):
        pretrainings = [Pretraining(condition, seed) for condition in CROSS]
        yield from pretrainings
        for condition in CROSS:
            yield Transfer("scratch", condition, seed)
            for pretraining in pretrainings:
                yield Transfer(pretraining, condition, seed)
            yield Transfer("supervised", condition, seed)
    for condition in OTHERS:
        pretraining = Pretraining(condition, 0)
        yield pretraining
        for seed in range(seeds):
            yield Transfer("scratch", condition, seed)
            yield Transfer(pretraining, condition, seed)
