"""Reads the bytes of planned clips, in threads that run ahead of the decoder.

Reading is by ``pread``, never through a memory map: a shard that is truncated under a running job
then gives an error that names the video, not a bus error. The system calls release the GIL, so
the threads read at the same time.
"""

import functools
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import FastrotError
from pipelines.plan import Clips, Plan, frame_numbers
from pipelines.store import Store
from pipelines.store_writer import offsets_path

Bytes = NDArray[np.uint8]
Allocate = Callable[[tuple[int, ...]], Bytes]
OPEN_FILES = 256


class Source(Protocol):
    """Knows how one codec's clips lie on disk, and how a batch of them lies in memory."""

    def buffer(self, count: int) -> Bytes | list[Bytes]:
        """Return memory for the next batch, of ``count`` clips, to be filled by ``read``."""

    def read(
        self, into: Bytes | list[Bytes], row: int, video: int, numbers: NDArray[np.int64]
    ) -> int:
        """Read the frames ``numbers`` of a video into row ``row``; return the bytes read.

        Called from several threads.
        """


class RawSource:
    """Whole uint8 frames, read straight into the batch handed to DALI, (B, T, size, size, 3).

    A batch's memory, which ``allocate`` gives, is used again ``buffers`` batches later.
    """

    def __init__(self, store: Store, frames: int, *, batch: int, buffers: int, allocate: Allocate):
        self._store = store
        self._files = ShardFiles()
        shape = (batch, frames, store.size, store.size, 3)
        self._ring = itertools.cycle([allocate(shape) for _ in range(buffers)])

    def buffer(self, count: int) -> Bytes:
        """Return the ring's next array, cut to ``count`` clips."""
        return next(self._ring)[:count]

    def read(
        self, into: Bytes | list[Bytes], row: int, video: int, numbers: NDArray[np.int64]
    ) -> int:
        """Read one run of consecutive frames at a time."""
        assert isinstance(into, np.ndarray)
        store = self._store
        frame_bytes = int(store.bytes[video] // store.frames[video])
        for begin, end in _runs(numbers):
            self._files.read_into(
                store.shard_path(video),
                into[row, begin:end],
                int(store.offset[video] + numbers[begin] * frame_bytes),
                store.name(video),
            )
        return frame_bytes * len(numbers)


class MjpegSource:
    """Exactly the JPEG packets of the clip's frames, one array a frame: a list of B x T."""

    def __init__(self, store: Store, frames: int):
        self._store = store
        self._frames = frames
        self._files = ShardFiles()

    def buffer(self, count: int) -> list[Bytes]:
        """Return a list of count x T places."""
        return [np.empty(0, dtype=np.uint8)] * (count * self._frames)

    def read(
        self, into: Bytes | list[Bytes], row: int, video: int, numbers: NDArray[np.int64]
    ) -> int:
        """Read from the first frame's packet to the last one's at once."""
        assert isinstance(into, list)
        starts = self.packet_starts(video, int(numbers.min()), int(numbers.max()))
        packets = np.empty(int(starts[-1] - starts[0]), dtype=np.uint8)
        store = self._store
        self._files.read_into(store.shard_path(video), packets, int(starts[0]), store.name(video))
        starts -= starts[0]
        for i, number in enumerate(numbers - numbers.min()):
            packet = packets[starts[number] : starts[number + 1]]
            # DALI 2.4 ends the process with a segmentation fault on some of what is no JPEG at all.
            if packet[:2].tobytes() != b"\xff\xd8":
                raise FastrotError(damaged(store, video, "a frame is no JPEG"))
            into[row * self._frames + i] = packet
        return len(packets)

    def packet_starts(self, video: int, first: int, last: int) -> NDArray[np.int64]:
        """Return where the packets of frames first..last begin in the shard, and where the last one ends."""
        store = self._store
        begin, end = int(store.offset[video]), int(store.offset[video] + store.bytes[video])
        known = min(last + 1, int(store.frames[video]) - 1) - first + 1
        starts = np.full(last - first + 2, end, dtype="<u8")
        self._files.read_into(
            offsets_path(store.shard_path(video)),
            starts[:known].view(np.uint8),
            8 * (int(store.index[video]) + first),
            store.name(video),
        )
        starts = starts.astype(np.int64)
        if starts[0] < begin or starts[-1] > end or (np.diff(starts) <= 0).any():
            raise FastrotError(damaged(store, video, "its frame offsets are out of order"))
        return starts


class VideoSource:
    """Whole encoded files (h264, vp9): a list of B arrays. The decoder is told which frames it wants."""

    def __init__(self, store: Store):
        self._store = store
        self._files = ShardFiles()

    def buffer(self, count: int) -> list[Bytes]:
        """Return a list of ``count`` places."""
        return [np.empty(0, dtype=np.uint8)] * count

    def read(
        self, into: Bytes | list[Bytes], row: int, video: int, numbers: NDArray[np.int64]
    ) -> int:
        """Read the video at once; a file at the store's size is a few hundred kB."""
        assert isinstance(into, list)
        store = self._store
        data = np.empty(int(store.bytes[video]), dtype=np.uint8)
        self._files.read_into(
            store.shard_path(video), data, int(store.offset[video]), store.name(video)
        )
        into[row] = data
        return len(data)


def pageable(shape: tuple[int, ...]) -> Bytes:
    """Return ordinary memory."""
    return np.empty(shape, dtype=np.uint8)


def make_source(
    store: Store, frames: int, *, batch: int, buffers: int, allocate: Allocate = pageable
) -> Source:
    """Return the store's source for clips of ``frames`` decoded frames, ``batch`` at the most at once."""
    if store.codec == "raw":
        return RawSource(store, frames, batch=batch, buffers=buffers, allocate=allocate)
    if store.codec == "mjpeg":
        return MjpegSource(store, frames)
    return VideoSource(store)


class ClipReader:
    """Reads the clips of ``ranges``, batch by batch and in order, ``ahead`` batches before they are due.

    The memory of a batch may be filled again once ``held`` more have been asked for. ``allocate`` gives
    the memory of raw frames.

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
        allocate: Allocate = pageable,
    ):
        self._store = store
        self._plan = plan
        self._ranges = iter(ranges)
        self._source = make_source(
            store,
            plan.spec.decoded_frames,
            batch=batch,
            buffers=ahead + 1 + held,
            allocate=allocate,
        )
        self._batch = batch
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="fastrot-read")
        self._pending: deque[tuple[Clips, Bytes | list[Bytes], list[Future[int]]]] = deque()
        self._ahead = ahead
        self.bytes_read = 0
        self._asked = self._ready = 0

    def __iter__(self) -> Iterator[tuple[Clips, Bytes | list[Bytes]]]:
        return self

    def __next__(self) -> tuple[Clips, Bytes | list[Bytes]]:
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
            self._pool.submit(self._source.read, buffer, row, int(clips.video[row]), numbers[row])
            for row in range(count)
        ]
        self._pending.append((clips, buffer, reads))
        return True

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(cancel_futures=True)


def damaged(store: Store, video: int, what: str) -> str:
    """Return the message about a video whose stored bytes are not what was written."""
    return (
        f"video {store.name(video)!r} in {store.shard_path(video)} is damaged: {what}. "
        f"`fastrot store verify {store.path} --fix` lists and drops what is broken"
    )


class ShardFiles:
    """Open files by path, the least recently used closed first; safe for several threads."""

    def __init__(self) -> None:
        self._open = functools.lru_cache(maxsize=OPEN_FILES)(_File)

    def read_into(self, path: Path, into: NDArray[np.uint8], offset: int, video: str) -> None:
        """Fill the contiguous array ``into`` from ``offset``.

        Raises:
            FastrotError: the file is absent, ends too early or cannot be read; names ``video``.
        """
        view = into.reshape(-1).data
        try:
            file = self._open(path)
            while view:
                got = os.preadv(file.descriptor, [view], offset)
                if got == 0:
                    raise FastrotError(
                        f"{path} ends before video {video!r} does: it was truncated. "
                        "`fastrot store verify --fix` lists and drops what is lost"
                    )
                view, offset = view[got:], offset + got
        except OSError as error:
            raise FastrotError(
                f"{path} cannot be read for video {video!r}: {error.strerror}"
            ) from None


class _File:
    """A descriptor that closes when nobody uses it: a thread may still read what the cache evicted."""

    def __init__(self, path: Path):
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


def _runs(numbers: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Split frame numbers into runs of consecutive ones: (begin, end) positions."""
    cuts = [0, *(np.flatnonzero(np.diff(numbers) != 1) + 1).tolist(), len(numbers)]
    return list(itertools.pairwise(cuts))
