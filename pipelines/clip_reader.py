"""Reads planned clips in threads that run ahead of the decoder."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pipelines.plan import Clips, Plan, frame_numbers
from pipelines.sources import Allocate, make_source, pageable
from pipelines.store import Store


class ClipReader:
    """Reads the clips of ``ranges``, batch by batch and in order, ``ahead`` batches before they are due.

    The memory of a batch may be filled again once ``held`` more have been asked for. ``finished`` and
    ``allocate`` are those of ``make_source``.

    Attributes:
        bytes_read: bytes of the batches given so far.
    """

    def __init__(
        self,
        store: Store,
        plan: Plan,
        ranges: Iterable[tuple[int, int]],
        *,
        batch: int,
        threads: int,
        ahead: int,
        held: int,
        finished: bool = False,
        allocate: Allocate = pageable,
    ):
        self._store = store
        self._plan = plan
        self._ranges = iter(ranges)
        self._source = make_source(
            store,
            plan.spec,
            batch=batch,
            buffers=ahead + 1 + held,
            finished=finished,
            allocate=allocate,
        )
        self._batch = batch
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="fastrot-read")
        self._pending: deque[tuple[Clips, Any, list[Future[int]]]] = deque()
        self._ahead = ahead
        self.bytes_read = 0
        self._asked = self._ready = 0

    def __iter__(self) -> Iterator[tuple[Clips, Any]]:
        return self

    def __next__(self) -> tuple[Clips, Any]:
        """Return the next batch: its plan, and its bytes as the codec's source lays them out."""
        while len(self._pending) <= self._ahead and self._start_one():
            pass
        if not self._pending:
            raise StopIteration
        self._asked += 1
        self._ready += sum(all(r.done() for r in reads) for _, _, reads in self._pending)
        clips, buffer, reads = self._pending.popleft()
        self.bytes_read += sum(read.result() for read in reads)
        return clips, buffer

    @property
    def queue_depth(self) -> float:
        """Whole batches that lay ready when one was asked for, on average."""
        return self._ready / self._asked if self._asked else 0.0

    def _start_one(self) -> bool:
        first_count = next(self._ranges, None)
        if first_count is None:
            return False
        first, count = first_count
        if not 0 < count <= self._batch:
            raise ValueError(f"a range of {count} clips; batches hold 1 to {self._batch}")
        clips = self._plan.clips(first, count)
        numbers = frame_numbers(clips, self._plan.spec, self._store.frames)
        buffer = self._source.buffer(count)
        reads = [
            self._pool.submit(self._source.read, buffer, clips, row, numbers[row])
            for row in range(count)
        ]
        self._pending.append((clips, buffer, reads))
        return True

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(cancel_futures=True)
