"""The parts of an acceptance, in the order in which they decide the next step, and their times."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A part, which runs in its own process.

    Attributes:
        name: The name.
        stage: 1 needs no DALI, 2 does; 0 belongs to every stage.
        seconds: Its share of the time.
        function: The module of ``benchmarks.acceptance`` and its function, which takes a ``Turn``.
        needs: The modules that it needs, of ``PACKAGES``.
    """

    name: str
    stage: int
    seconds: float
    function: str
    needs: tuple[str, ...] = ()


PACKAGES = {"nvidia.dali": "NVIDIA DALI", "av": "PyAV", "PIL": "Pillow"}
"""What borrowed machines may lack, by module."""

_DALI = ("nvidia.dali",)
_VIDEOS = (*_DALI, "av")
_STORES = (*_VIDEOS, "PIL")

MACHINE = "machine"

PARTS = (
    Part(MACHINE, 0, 30, "measures.machine"),
    Part("profile", 1, 25, "step_profile.run"),
    Part("limits", 1, 10, "measures.limits"),
    Part("rotation", 1, 20, "measures.rotation"),
    Part("step", 1, 60, "measures.step"),
    Part("candidates", 1, 50, "candidate_cases.run"),
    Part("jpeg", 2, 25, "hardware_jpeg.run", _DALI),
    Part("real data", 2, 100, "measures.real_data", _STORES),
    Part("loader", 2, 100, "measures.loader", _STORES),
    Part("h264", 2, 45, "trimmed_video.run", _VIDEOS),
    Part("variants", 1, 60, "measures.variants"),
    Part("tests", 1, 35, "gpu_tests.run"),
    Part("loader tests", 2, 60, "gpu_tests.run_with_dali", _STORES),
    Part("compiled", 1, 100, "measures.compiled"),
)
"""The seconds are limits: a third more than a part took on an H200, or what it would have taken."""


def budget_of(parts: Sequence[Part]) -> float:
    """Return the seconds that parts need together."""
    return sum(part.seconds for part in parts)


def limit_of(part: Part, left_s: float, still: Sequence[Part]) -> float:
    """Return a part's limit: its share of the seconds that are left.

    All parts in ``still``, including this one, share these, so what one leaves goes to those after it.
    """
    return left_s * part.seconds / sum(one.seconds for one in still)
