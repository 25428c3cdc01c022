"""The time of a run: in total, since the last log line, and the part of it spent waiting for data."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipelines.loading.batches import BatchLoader


@dataclass(frozen=True)
class Lap:
    """An interval of training: its steps, its seconds, and the seconds spent waiting for the loader."""

    steps: int
    seconds: float
    waited: float


class Clock:
    """Measures the seconds of training, without evaluations and checkpoints.

    Args:
        loader: The loader whose waiting time is measured.
        step: The step at which training starts.
        before: Seconds of training before that step.
    """

    def __init__(self, loader: BatchLoader, step: int, before: float):
        self._loader = loader
        self._before = before
        self._began = time.perf_counter()
        self._lap = (step, 0.0, 0.0)

    @property
    def seconds(self) -> float:
        """Seconds of training so far, including those before the run was resumed."""
        return self._before + time.perf_counter() - self._began

    def lap(self, step: int) -> Lap:
        """Return the interval since the last call or the start."""
        now = (step, time.perf_counter() - self._began, self._loader.stats.waited_s)
        steps, seconds, waited = (new - old for new, old in zip(now, self._lap, strict=True))
        self._lap = now
        return Lap(int(steps), max(seconds, 1e-9), waited)

    def loader_figures(self) -> dict[str, float]:
        """Return the loader's mean read rate so far and the depth of its queue."""
        stats = self._loader.stats
        return {"read_mb_per_s": stats.bytes_per_s / 1e6, "queue_depth": stats.queue_depth}

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the clock within the context."""
        began = time.perf_counter()
        yield
        self._began += time.perf_counter() - began
