"""The time of a run: total, since the last line of the log, and how much of it was waiting for data."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipelines.loading.batches import BatchLoader


@dataclass(frozen=True)
class Lap:
    """A stretch of training: its steps, its seconds, and those of them spent waiting for the loader."""

    steps: int
    seconds: float
    waited: float


class Clock:
    """Counts the seconds of training, without those of evaluations and checkpoints.

    Args:
        loader: whose waiting time is taken.
        step: where training starts.
        before: seconds of the run up to there.
    """

    def __init__(self, loader: BatchLoader, step: int, before: float):
        self._loader = loader
        self._before = before
        self._began = time.perf_counter()
        self._lap = (step, 0.0, 0.0)

    @property
    def seconds(self) -> float:
        """Seconds trained so far, over all resumptions."""
        return self._before + time.perf_counter() - self._began

    def lap(self, step: int) -> Lap:
        """Return the stretch since the last call, or the start."""
        now = (step, time.perf_counter() - self._began, self._loader.stats.waited_s)
        steps, seconds, waited = (new - old for new, old in zip(now, self._lap, strict=True))
        self._lap = now
        return Lap(int(steps), max(seconds, 1e-9), waited)

    def loader_figures(self) -> dict[str, float]:
        """Return what the loader says of itself: its mean rates so far, and how full its queue was."""
        stats = self._loader.stats
        return {"read_mb_per_s": stats.bytes_per_s / 1e6, "queue_depth": stats.queue_depth}

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Do not count what happens within."""
        began = time.perf_counter()
        yield
        self._began += time.perf_counter() - began
