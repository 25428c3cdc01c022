"""Reads planned clips batch by batch, in threads that prefetch for the decoder."""

import errno
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import FastrotError, UnreadableError
from pipelines.loading.options import LoaderOptions
from pipelines.loading.replacement import Replaced, Tolerance
from pipelines.loading.sources import make_source
from pipelines.loading.threads import serial_threads
from pipelines.plan import Clips, Plan, frame_numbers
from pipelines.store.reading import Store


@dataclass
class ReadBatch:
    """A batch as read from the store: its clips, its bytes in the source's format, and its replacements."""

    clips: Clips
    data: Any
    replaced: list[Replaced] = field(default_factory=list)


class ClipReader:
    """Reads the clips of ``ranges`` in order, ``options.prefetch`` batches ahead.

    A batch's memory may be reused once ``options.prefetch`` + 1 more batches have been requested.
    ``finished`` is passed to ``make_source``. A clip that cannot be read raises an error. With a
    ``tolerance``, a clip whose bytes are lost is replaced by the plan's next readable clip instead. The
    replacement depends only on the plan and the stored bytes, so it is the same in a resumed run and with
    another number of processes.

    Attributes:
        bytes_read: Bytes of the batches returned so far.
    """

    def __init__(
        self,
        store: Store,
        plan: Plan,
        ranges: Iterable[tuple[int, int]],
        *,
        batch: int,
        options: LoaderOptions,
        tolerance: Tolerance | None = None,
        finished: bool = False,
    ):
        self._store = store
        self._plan = plan
        self._ranges = iter(ranges)
        self._source = make_source(
            store,
            plan.spec,
            batch=batch,
            # prefetch batches being read, as many in DALI, the current batch and the previous one.
            buffers=2 * options.prefetch + 2,
            check=options.check,
            finished=finished,
        )
        self._batch = batch
        self._pool = serial_threads(options.threads, "fastrot-read")
        self._pending: deque[tuple[ReadBatch, list[Future[int]]]] = deque()
        self._ahead = options.prefetch
        self._tolerance = tolerance
        self.bytes_read = 0
        self._asked = self._ready = 0

    def __iter__(self) -> Iterator[ReadBatch]:
        return self

    def __next__(self) -> ReadBatch:
        """Return the next batch."""
        while len(self._pending) <= self._ahead and self._start_one():
            pass
        if not self._pending:
            raise StopIteration
        self._asked += 1
        self._ready += sum(all(r.done() for r in reads) for _, reads in self._pending)
        batch, reads = self._pending.popleft()
        for row, read in enumerate(reads):
            try:
                self.bytes_read += read.result()
            except FastrotError as error:
                if self._tolerance is None or not self._is_lost(error):
                    raise
                batch.replaced.append(self._replace(batch, row, str(error), self._tolerance))
        return batch

    @property
    def queue_depth(self) -> float:
        """The mean number of complete batches that were ready at each request."""
        return self._ready / self._asked if self._asked else 0.0

    def _start_one(self) -> bool:
        first_count = next(self._ranges, None)
        if first_count is None:
            return False
        first, count = first_count
        if not 0 < count <= self._batch:
            raise ValueError(f"range of {count} clips, expected 1 to {self._batch}")
        clips = self._plan.clips(first, count)
        numbers = frame_numbers(clips, self._plan.spec, self._store.frames)
        batch = ReadBatch(clips, self._source.buffer(count))
        reads = [self._pool.submit(self._read, batch, row, numbers[row]) for row in range(count)]
        self._pending.append((batch, reads))
        return True

    def _read(self, batch: ReadBatch, row: int, numbers: NDArray[np.int64]) -> int:
        sample = int(batch.clips.sample[row])
        if self._tolerance is not None and sample in self._tolerance.broken:
            raise FastrotError(self._tolerance.broken[sample])
        return self._source.read(batch.data, batch.clips, row, numbers)

    def _replace(self, batch: ReadBatch, row: int, reason: str, tolerance: Tolerance) -> Replaced:
        """Read the plan's next readable clip into ``row``."""
        planned = sample = int(batch.clips.sample[row])
        video, cause = self._store.name(int(batch.clips.video[row])), reason
        while True:
            tolerance.note(sample, cause)  # raises if too many clips are unreadable
            sample += 1
            other = self._plan.clips(sample, 1)
            for column in fields(Clips):
                getattr(batch.clips, column.name)[row] = getattr(other, column.name)[0]
            (numbers,) = frame_numbers(other, self._plan.spec, self._store.frames)
            try:
                self.bytes_read += self._read(batch, row, numbers)
            except FastrotError as error:
                if not self._is_lost(error):
                    raise
                cause = str(error)
                continue
            return Replaced(sample=planned, video=video, reason=reason, by=sample)

    def _is_lost(self, error: FastrotError) -> bool:
        """Return whether a clip's bytes are lost: damaged, truncated, on a bad sector, or in a deleted shard.

        Other read errors (too many open files, a missing mount) are temporary and affect intact clips.
        Replacing these would train on different clips than on a machine without the error.
        """
        if not isinstance(error, UnreadableError) or error.errno == errno.EIO:
            return True
        return error.errno == errno.ENOENT and (self._store.path / "store.json").exists()

    def close(self) -> None:
        """Stop the threads after their current reads."""
        self._pool.shutdown(cancel_futures=True)
