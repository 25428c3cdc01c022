"""Leaves clips that cannot be read out of an evaluation's batches, where training replaces them."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from pipelines.errors import FastrotError
from pipelines.loading.loader import Batch, BatchLoader, LoaderStats
from pipelines.loading.replacement import Replaced
from pipelines.plan import Clips, ClipSpec, EvalPlan


class RingPlan:
    """A test plan that begins again at its end, so that the last clip has a next one too."""

    def __init__(self, plan: EvalPlan):
        self._plan = plan

    @property
    def spec(self) -> ClipSpec:
        """What a clip looks like."""
        return self._plan.spec

    def clips(self, first: int, count: int) -> Clips:
        """Return ``count`` samples from ``first`` on, which may lie one round beyond the end.

        Raises:
            FastrotError: two rounds beyond: every clip was tried, and none can be read.
        """
        total = len(self._plan)
        if first >= 2 * total:
            raise FastrotError(f"none of the {total} clips to evaluate can be read")
        return self._plan.clips(first % total, count)


class SkippingLoader:
    """A loader without the rows of clips that could not be read.

    Args:
        loader: replaces them, as `Loader` does with a tolerance.
        ranges: (first sample, count) of each of its batches.
    """

    def __init__(self, loader: BatchLoader, ranges: Sequence[tuple[int, int]]):
        self._loader = loader
        self._ranges = deque(ranges)

    @property
    def waited_s(self) -> float:
        """Seconds that the consumer has waited for batches so far."""
        return self._loader.waited_s

    @property
    def stats(self) -> LoaderStats:
        """What the loader has done so far."""
        return self._loader.stats

    def take_replaced(self) -> list[Replaced]:
        """Return the clips left out since the last call; what stood in for them is left out too."""
        return self._loader.take_replaced()

    def position(self) -> bytes:
        """Return what resuming after the last batch needs beside the step's number."""
        return self._loader.position()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        """Return the next batch that has a readable clip."""
        while True:
            batch = next(self._loader)
            first, count = self._ranges.popleft()
            rows = np.flatnonzero(batch.samples == np.arange(first, first + count))
            if len(rows) == count:
                return batch
            if len(rows):
                return _rows(batch, torch.from_numpy(rows))

    def __enter__(self) -> "SkippingLoader":
        self._loader.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._loader.__exit__(*exception)


def _rows(batch: Batch, rows: torch.Tensor) -> Batch:
    on_device = rows.to(batch.clips.device)
    return replace(
        batch,
        clips=batch.clips[on_device],
        labels=batch.labels[on_device],
        videos=batch.videos[rows.numpy()],
        samples=batch.samples[rows.numpy()],
    )
