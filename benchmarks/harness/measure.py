"""Measurement: warm-up, interleaved repeats, medians, and reported failures.

A benchmark is a module with ``run(options, *, budget_s) -> Result``. It makes cases for
our code and for its peers, passes all of them to ``interleave``, and compares the outcomes with the
limits and the goals.
"""

import math
import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness.compared import Goal, Ratio
from fastrot.distributed.runtime import Runtime
from fastrot.terminal import console

Fact = str | int | float | None

REPEATS = 5

JUDGING_REPEATS = 2
"""The fewest repeats by which a goal is judged: without a warm-up, a single one may be cold."""

NOTHING_LEFT = "the budget ran out before this case: increase --budget"


class NotHere(Exception):  # noqa: N818  # an answer, not an error
    """The case cannot run on this machine; the message is the reason."""


@dataclass(frozen=True)
class Case:
    """Something to measure.

    Attributes:
        name: The name, unique in the run.
        measure: Does one repeat and returns the figures, with units in their names
            (``clips_per_s``, ``ms_per_step``). It raises NotHere if it cannot run on this machine;
            any other exception is a failure.
        facts: What distinguishes the case, such as its codec, and ``by``, the author of the code.
        first_s: A guess of the seconds of the first measurement if that is slow, for example because
            it compiles. The case then starts after the others were measured once, if it will fit.
    """

    name: str
    measure: Callable[[], Mapping[str, float]]
    facts: Mapping[str, Fact] = field(default_factory=dict)
    first_s: float = 0.0


@dataclass(frozen=True)
class Figure:
    """One figure over all repeats: median, first and third quartiles, and every value in order."""

    median: float
    q1: float
    q3: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """Return the figure of one value per repeat.

        The quartiles are interpolated between values, including the lowest and the highest.
        """
        q1, median, q3 = (
            statistics.quantiles(values, n=4, method="inclusive")
            if len(values) > 1
            else [values[0]] * 3
        )
        return cls(median, q1, q3, tuple(values))


@dataclass(frozen=True)
class Outcome:
    """The outcome of a case: figures, or the one reason why there are none.

    Attributes:
        name: The name of the case.
        facts: The facts of the case.
        repeats: How often the case was measured, without the warm-up.
        figures: The figures by name; empty if there is a reason.
        failed: Why the case failed.
        not_here: Why the case cannot run on this machine.
        not_reached: A text if the budget ended before the case's turn.
    """

    name: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    repeats: int = 0
    figures: Mapping[str, Figure] = field(default_factory=dict)
    failed: str | None = None
    not_here: str | None = None
    not_reached: str | None = None

    @property
    def reason(self) -> str | None:
        """The reason why there are no figures, in words; None if there are figures."""
        if self.failed:
            return f"failed: {self.failed}"
        if self.not_here:
            return f"not here: {self.not_here}"
        return f"not reached: {self.not_reached}" if self.not_reached else None

    def median(self, figure: str) -> float | None:
        """Return the median of a figure, or None if it was not measured."""
        found = self.figures.get(figure)
        return found.median if found else None


def interleave(
    cases: Sequence[Case],
    *,
    budget_s: float,
    repeats: int = REPEATS,
    warm_up: bool = True,
    what: str = "bench",
    shown: bool = True,
    clock: Callable[[], float] = time.monotonic,
    keep: Callable[[dict[str, Outcome]], None] | None = None,
) -> dict[str, Outcome]:
    """Measure cases in turn, A B A B, so that background load affects all alike.

    The first measurement of each case is the warm-up, and its figures are dropped. The time of the
    last round predicts whether another one will fit into the budget. If it will not, only the cases
    that have no figures yet, and that fit, are measured. A case that fails or cannot run here is
    skipped in later rounds.

    Args:
        cases: The cases, with different names.
        budget_s: The seconds for everything.
        repeats: The maximum number of measured rounds.
        warm_up: Whether there is a warm-up round; without it, each measurement warms up by itself.
        what: The name that the progress display shows.
        shown: Whether there is a progress display.
        clock: Returns the time in seconds.
        keep: Is called with the outcomes so far after each measurement, in case this process is
            stopped.

    Returns:
        an outcome for every case, by name, in the order of ``cases``.
    """
    trials = {case.name: _Trial(case) for case in cases}
    if len(trials) != len(cases):
        raise ValueError("two cases have the same name")
    ends = clock() + budget_s
    rounds = range(0 if warm_up else 1, repeats + 1)
    total = len(cases) * len(rounds)
    with console.progress(total, what, "measurements", shown=shown) as advance:
        for number in rounds:
            running = [trial for trial in trials.values() if not trial.over]
            next_s = sum(trial.took_s for trial in running if trial.times)
            if number > 1 and clock() + next_s > ends:
                running = [trial for trial in running if not trial.measured]
            for trial in running:
                too_early = trial.slow and not trial.times and number == rounds.start
                if not too_early and clock() + trial.took_s < ends:
                    trial.run(clock, keep=not warm_up or trial.times > 0)
                    if keep is not None:
                        keep({name: one.outcome() for name, one in trials.items()})
                advance()
    return {name: trial.outcome() for name, trial in trials.items()}


class _Trial:
    """The measurements of one case over the rounds."""

    def __init__(self, case: Case):
        self._case = case
        self.measured: list[Mapping[str, float]] = []
        self._failed: str | None = None
        self._not_here: str | None = None
        self.times = 0
        self.slow = case.first_s > 0
        self.took_s = case.first_s

    @property
    def over(self) -> bool:
        return self._failed is not None or self._not_here is not None

    def run(self, clock: Callable[[], float], *, keep: bool) -> None:
        began = clock()
        try:
            measured = dict(self._case.measure())
            wrong = [name for name, value in measured.items() if not math.isfinite(value)]
            if wrong:
                raise ValueError(f"{', '.join(wrong)}: not a finite number")
            if keep:
                self.measured.append(measured)
        except NotHere as reason:
            self._not_here = str(reason)
        except Exception as error:  # anything that a peer raises is shown as its failure
            self._failed = _in_one_line(error)
        self.took_s = clock() - began
        self.times += 1

    def outcome(self) -> Outcome:
        case, measured = self._case, [] if self.over else self.measured
        names = measured[0] if measured else {}
        return Outcome(
            name=case.name,
            facts=dict(case.facts),
            repeats=len(measured),
            figures={name: Figure.of([one[name] for one in measured]) for name in names},
            failed=self._failed,
            not_here=self._not_here,
            not_reached=None if measured or self.over else NOTHING_LEFT,
        )


def _in_one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kind = type(error).__name__
    # A worker's traceback ends with what went wrong.
    text = lines[-1] if lines and "Traceback" in str(error) else " ".join(lines[:2])
    return f"{kind}: {text[:300]}" if text else kind


def repeated(*outcomes: Outcome) -> bool:
    """Return whether outcomes can judge a goal: each was measured twice or more."""
    return all(outcome.repeats >= JUDGING_REPEATS for outcome in outcomes)


@dataclass(frozen=True)
class Options:
    """Command-line options shared by all benchmarks.

    Attributes:
        runtime: The device and the threads of this process, already set up.
        store: A store to read instead of the built-in input, if the benchmark reads one.
        input: The videos to make stores of: "footage", "demo" or "auto" (see
            ``benchmarks.harness.inputs``).
        quick: Whether to use the smallest sizes that exercise the code; the figures then mean nothing.
        shown: Whether there is a progress display.
        keep: Is called with the results so far after each measurement, in case the benchmark is
            stopped.
        only: The names of the cases to measure; None measures all.
        warm_up: Whether a first round is dropped, which delays the first figures.
    """

    runtime: Runtime
    store: Path | None = None
    input: str = "auto"
    quick: bool = False
    shown: bool = True
    keep: "Callable[[Result], None] | None" = None
    only: Collection[str] | None = None
    warm_up: bool = True

    def wants(self, name: str) -> bool:
        """Return whether a case is to be measured."""
        return self.only is None or name in self.only

    @property
    def device(self) -> torch.device:
        """The device of the tensors."""
        return self.runtime.device


@dataclass(frozen=True)
class Result:
    """The result of one benchmark.

    Attributes:
        benchmark: The name of the benchmark, such as "loader".
        settings: The settings of the benchmark, as plain values.
        cases: The outcomes of our own cases and the peers'.
        limits: The outcomes of limits that no case can exceed, measured in the same run.
        ratios: Figures of our cases over those of the peers.
        goals: The goals for the figures.
        notes: Sentences that a reader of the figures must know.
        broken: Whether the benchmark failed as a whole.
    """

    benchmark: str
    settings: Mapping[str, Any]
    cases: Sequence[Outcome]
    limits: Sequence[Outcome] = ()
    ratios: Sequence[Ratio] = ()
    goals: Sequence[Goal] = ()
    notes: Sequence[str] = ()
    broken: bool = False

    @classmethod
    def of_failure(cls, benchmark: str, error: Exception) -> "Result":
        """Return the result of a benchmark that failed as a whole."""
        return cls(benchmark, {}, [Outcome(benchmark, failed=_in_one_line(error))], broken=True)

    @classmethod
    def of_nothing(cls, benchmark: str) -> "Result":
        """Return the result of a benchmark for which no time was left."""
        return cls(benchmark, {}, [Outcome(benchmark, not_reached=NOTHING_LEFT)])

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "benchmark": self.benchmark,
            "settings": dict(self.settings),
            "cases": [asdict(outcome) for outcome in self.cases],
            "limits": [asdict(outcome) for outcome in self.limits],
            "ratios": [asdict(ratio) for ratio in self.ratios],
            "goals": [{**asdict(goal), "met": goal.met} for goal in self.goals],
            "notes": list(self.notes),
        }
