"""How things are measured here: warm-up, interleaved repeats, medians, and failures that show as failures.

A benchmark is a module with ``run(options, *, budget_s) -> Result``. It makes cases, its own and its
peers', hands all of them to ``interleave``, and puts what comes back beside the limits and the goals.
"""

import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from fastrot import console, runs
from fastrot.runtime import Runtime
from pipelines.errors import FastrotError
from pipelines.store_writer import write_atomically

Fact = str | int | float | None

REPEATS = 5
NOTHING_LEFT = "the budget ended before its turn: give a longer --budget"


class NotHere(Exception):  # noqa: N818  # an answer, not an error
    """The case cannot run on this machine; the message is the reason."""


@dataclass(frozen=True)
class Case:
    """Something to measure.

    Attributes:
        name: unique in the run.
        measure: one repeat: it does the work and returns the figures, with units in their names
            (``clips_per_s``, ``ms_per_step``). NotHere says that it cannot run on this machine; any
            other exception is a failure.
        facts: what tells the case from the others, such as its codec.
    """

    name: str
    measure: Callable[[], Mapping[str, float]]
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """One figure over the repeats: median, first and third quartile, and every value in order."""

    median: float
    q1: float
    q3: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """Return the figure of one value a repeat; the quartiles lie between values, ends included."""
        q1, median, q3 = (
            statistics.quantiles(values, n=4, method="inclusive")
            if len(values) > 1
            else [values[0]] * 3
        )
        return cls(median, q1, q3, tuple(values))


@dataclass(frozen=True)
class Outcome:
    """What a case gave: figures, or the one reason why there are none.

    Attributes:
        name: the case's.
        facts: the case's.
        repeats: how often it was measured, without the warm-up.
        figures: by name; empty where there is a reason.
        failed: why it broke.
        not_here: why it cannot run on this machine.
        not_reached: set if the budget ended before its turn.
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
        """Why there are no figures, in words; None where there are some."""
        if self.failed:
            return f"failed: {self.failed}"
        if self.not_here:
            return f"not here: {self.not_here}"
        return f"not reached: {self.not_reached}" if self.not_reached else None

    def median(self, figure: str) -> float | None:
        """Return the median of a figure, None if it was not measured."""
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
) -> dict[str, Outcome]:
    """Measure cases in turn, A B A B, so that what the machine does meanwhile falls on all alike.

    The first round is the warm-up, whose figures are dropped. A further round starts if it will fit
    into the budget by the time that the last one took; of the first measured round, each case that
    fits. A case that fails or is not here drops out of the rounds that follow.

    Args:
        cases: with different names.
        budget_s: seconds for everything.
        repeats: rounds to measure, at the most.
        warm_up: whether there is that first round; without it, each measurement warms up by itself.
        what: named by the progress display.
        shown: whether there is one.
        clock: gives seconds.

    Returns:
        An outcome for every case, by name, in the order of ``cases``.
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
            if number > 1 and clock() + sum(trial.took_s for trial in running) > ends:
                break
            for trial in running:
                if clock() + trial.took_s < ends:
                    trial.run(clock, keep=number > 0)
                advance()
    return {name: trial.outcome() for name, trial in trials.items()}


class _Trial:
    """One case's way through the rounds."""

    def __init__(self, case: Case):
        self._case = case
        self._measured: list[Mapping[str, float]] = []
        self._failed: str | None = None
        self._not_here: str | None = None
        self.took_s = 0.0

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
                self._measured.append(measured)
        except NotHere as reason:
            self._not_here = str(reason)
        except Exception as error:  # whatever a peer raises is its failure, and is shown as that
            self._failed = _in_one_line(error)
        self.took_s = clock() - began

    def outcome(self) -> Outcome:
        case, measured = self._case, [] if self.over else self._measured
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


@dataclass(frozen=True)
class Goal:
    """A figure and what it should at least be, or at most where ``at_most``.

    ``value`` is None where it was not measured; such a goal is not met.
    """

    name: str
    value: float | None
    goal: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        if self.value is None:
            return False
        return self.value <= self.goal if self.at_most else self.value >= self.goal


@dataclass(frozen=True)
class Options:
    """What the command line asks of every benchmark.

    Attributes:
        runtime: device and threads of this process, set up.
        store: a store to read instead of the built-in input, where the benchmark reads one.
        input: videos to make stores of: "footage", "demo", or "auto" (see ``benchmarks.inputs``).
        quick: whether sizes are the smallest that exercise the code: the figures mean nothing then.
        shown: whether there is a progress display.
    """

    runtime: Runtime
    store: Path | None = None
    input: str = "auto"
    quick: bool = False
    shown: bool = True

    @property
    def device(self) -> torch.device:
        """Where tensors live."""
        return self.runtime.device


@dataclass(frozen=True)
class Result:
    """What one benchmark found.

    Attributes:
        benchmark: its name, such as "loader".
        settings: what it was run with, plain values.
        cases: our own and the peers'.
        limits: measured in the same run: what no case can pass.
        goals: what was hoped for.
        notes: sentences that a reader of the figures must know.
        broken: whether the benchmark failed as a whole.
    """

    benchmark: str
    settings: Mapping[str, Any]
    cases: Sequence[Outcome]
    limits: Sequence[Outcome] = ()
    goals: Sequence[Goal] = ()
    notes: Sequence[str] = ()
    broken: bool = False

    @classmethod
    def of_failure(cls, benchmark: str, error: Exception) -> "Result":
        """Return the result of a benchmark that broke as a whole."""
        return cls(benchmark, {}, [Outcome(benchmark, failed=_in_one_line(error))], broken=True)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "benchmark": self.benchmark,
            "settings": dict(self.settings),
            "cases": [asdict(outcome) for outcome in self.cases],
            "limits": [asdict(outcome) for outcome in self.limits],
            "goals": [{**asdict(goal), "met": goal.met} for goal in self.goals],
            "notes": list(self.notes),
        }


def environment(runtime: Runtime) -> dict[str, Any]:
    """Return what a reader must know of the machine and the software: a run's, the processor and the date."""
    found = {
        "date": datetime.now().date().isoformat(),
        "cpu": _cpu_name(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        **runs.environment(runtime),
    }
    # Where the program lies on one machine says nothing to others.
    return {**found, "command": ["fastrot", *sys.argv[1:]]}


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def save(path: Path, found: Mapping[str, Any], results: Sequence[Result], *, took_s: float) -> None:
    """Write results as JSON, the environment ``found`` first, whole or not at all.

    Raises:
        FastrotError: it cannot be written.
    """
    content = {
        "environment": dict(found),
        "took_s": round(took_s, 1),
        "results": [result.to_json() for result in results],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise FastrotError(f"{path} cannot be written: {error.strerror}") from None


SHARES = {"loader": 0.55, "rotation": 0.1, "train": 0.2, "scaling": 0.08, "startup": 0.07}


def budget_of(benchmark: str, left_s: float, still: Sequence[str]) -> float:
    """Return one benchmark's share of the ``left_s`` seconds that all in ``still``, itself included, have."""
    return left_s * SHARES[benchmark] / sum(SHARES[name] for name in still)
