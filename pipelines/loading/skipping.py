"""Skips unreadable clips in an evaluation's batches. Training replaces them instead."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from pipelines.errors import FastrotError
from pipelines.loading.batches import Batch, BatchLoader, WrappedLoader
from pipelines.plan import Clips, ClipSpec, EvalPlan


class RingPlan:
    """An evaluation plan that wraps around at its end, so that the last clip can be replaced too."""

    def __init__(self, plan: EvalPlan):
        self._plan = plan

    @property
    def spec(self) -> ClipSpec:
        """The shape of a clip."""
        return self._plan.spec

    def clips(self, first: int, count: int) -> Clips:
        """Return ``count`` samples from ``first``, which may be up to one round beyond the end.

        Raises:
            FastrotError: ``first`` is further beyond the end: every clip was tried, and none can be read.
        """
        total = len(self._plan)
        if first >= 2 * total:
            raise FastrotError(f"none of {total} clips can be read: run `fastrot store verify`")
        return self._plan.clips(first % total, count)


class SkippingLoader(WrappedLoader):
    """A loader that removes the rows of unreadable clips.

    Args:
        loader: A loader that replaces unreadable clips, such as ``Loader`` with a tolerance.
        ranges: (first sample, count) of each of its batches.
    """

    def __init__(self, loader: BatchLoader, ranges: Sequence[tuple[int, int]]):
        super().__init__(loader)
        self._ranges = deque(ranges)

    def __next__(self) -> Batch:
        """Return the next batch with at least one readable clip."""
        while True:
            batch = next(self.loader)
            first, count = self._ranges.popleft()
            rows = np.flatnonzero(batch.samples == np.arange(first, first + count))
            if len(rows) == count:
                return batch
            if len(rows):
                return _rows(batch, torch.from_numpy(rows))


def _rows(batch: Batch, rows: torch.Tensor) -> Batch:
    on_device = rows.to(batch.clips.device)
    return replace(
        batch,
        clips=batch.clips[on_device],
        labels=batch.labels[on_device],
        videos=batch.videos[rows.numpy()],
        samples=batch.samples[rows.numpy()],
        speeds=None if batch.speeds is None else batch.speeds[rows.numpy()],
    )
