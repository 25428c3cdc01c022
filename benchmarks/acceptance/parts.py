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
    Part("profile", 1, 40, "step_profile.run"),
    Part("limits", 1, 20, "measures.limits"),
    Part("rotation", 1, 35, "measures.rotation"),
    Part("step", 1, 40, "measures.step"),
    Part("jpeg", 2, 20, "hardware_jpeg.run", _DALI),
    Part("h264", 2, 20, "trimmed_video.run", _VIDEOS),
    Part("candidates", 1, 25, "candidate_cases.run"),
    Part("variants", 1, 25, "measures.variants"),
    Part("real data", 2, 35, "measures.real_data", _STORES),
    Part("loader", 2, 20, "measures.loader", _STORES),
    Part("tests", 1, 25, "gpu_tests.run"),
    Part("loader tests", 2, 15, "gpu_tests.run_with_dali", _STORES),
)

BUDGET_S = sum(part.seconds for part in PARTS)


def limit_of(part: Part, left_s: float, still: Sequence[Part]) -> float:
    """Return a part's limit: its share of the seconds that are left.

    All parts in ``still``, including this one, share these, so what one leaves goes to those after it.
    """
    return left_s * part.seconds / sum(one.seconds for one in still)
