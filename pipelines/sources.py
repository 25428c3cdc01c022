"""How each codec's clips are read from the shards.

Reading is by ``pread``, never through a memory map: a shard that is truncated under a running job
then gives an error that names the video, not a bus error. The system calls release the GIL, so
the threads read at the same time.
"""

import functools
import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import FastrotError
from pipelines.finish import crop_of, finish_clip, new_batch
from pipelines.plan import Clips, ClipSpec
from pipelines.store import Store
from pipelines.store_writer import offsets_path

Bytes = NDArray[np.uint8]
Allocate = Callable[[tuple[int, ...]], Bytes]
OPEN_FILES = 256


class Source(Protocol):
    """Knows how one codec's clips lie on disk, and how a batch of them lies in memory."""

    def buffer(self, count: int) -> Any:
        """Return memory for the next batch, of ``count`` clips, to be filled by ``read``."""

    def read(self, into: Any, clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read the frames ``numbers`` of clip ``row`` into its place; return the bytes read.

        Called from several threads.
        """


class RawSource:
    """Cropped uint8 frames, (B, T', crop, crop, 3), for DALI to flip and to take differences of.

    Whole frames are read, into memory that stays in the processor's cache, and cropped from there. A batch's
    memory, which ``allocate`` gives, is used again ``buffers`` batches later.
    """

    def __init__(
        self, store: Store, spec: ClipSpec, *, batch: int, buffers: int, allocate: Allocate
    ):
        self._store = store
        self._spec = spec
        self._files = ShardFiles()
        self._of_thread = threading.local()
        shape = (batch, spec.decoded_frames, spec.crop, spec.crop, 3)
        self._ring = itertools.cycle([allocate(shape) for _ in range(buffers)])

    def buffer(self, count: int) -> Bytes:
        """Return the ring's next array, cut to ``count`` clips."""
        return next(self._ring)[:count]

    def read(self, into: Bytes, clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read a clip's frames and crop them."""
        frames = self._frames(int(clips.video[row]), numbers)
        np.copyto(into[row], crop_of(frames, clips, row, self._spec))
        return frames.nbytes

    def _frames(self, video: int, numbers: NDArray[np.int64]) -> Bytes:
        """Read whole frames, one run of consecutive ones at a time, into this thread's memory."""
        store = self._store
        if not hasattr(self._of_thread, "frames"):
            shape = (self._spec.decoded_frames, store.size, store.size, 3)
            self._of_thread.frames = np.empty(shape, dtype=np.uint8)
        frames: Bytes = self._of_thread.frames
        frame_bytes = int(store.bytes[video] // store.frames[video])
        for begin, end in _runs(numbers):
            self._files.read_into(
                store.shard_path(video),
                frames[begin:end],
                int(store.offset[video] + numbers[begin] * frame_bytes),
                store.name(video),
            )
        return frames


class FinishedRawSource(RawSource):
    """Finished clips, (B, T, crop, crop, 3), flipped and as differences for DIF: nothing is left to do.

    Every batch has memory of its own, since nobody copies it on.
    """

    def __init__(self, store: Store, spec: ClipSpec):
        super().__init__(store, spec, batch=0, buffers=1, allocate=pageable)

    def buffer(self, count: int) -> NDArray[Any]:
        """Return new memory."""
        return new_batch(count, self._spec)

    def read(self, into: NDArray[Any], clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read a clip's frames and finish them."""
        frames = self._frames(int(clips.video[row]), numbers)
        crop = crop_of(frames, clips, row, self._spec)
        finish_clip(crop, into[row], flip=bool(clips.flip[row]), spec=self._spec)
        return frames.nbytes


class MjpegSource:
    """Exactly the JPEG packets of the clip's frames, one array a frame: a list of B x T."""

    def __init__(self, store: Store, frames: int):
        self._store = store
        self._frames = frames
        self._files = ShardFiles()

    def buffer(self, count: int) -> list[Bytes]:
        """Return a list of count x T places."""
        return [np.empty(0, dtype=np.uint8)] * (count * self._frames)

    def read(self, into: list[Bytes], clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read a clip's packets."""
        packets, read = self.packets(int(clips.video[row]), numbers)
        into[row * self._frames : (row + 1) * self._frames] = packets
        return read

    def packets(self, video: int, numbers: NDArray[np.int64]) -> tuple[list[Bytes], int]:
        """Return the frames' JPEGs, and the bytes read: from the first one's to the last one's at once."""
        first = int(numbers.min())
        starts = self.packet_starts(video, first, int(numbers.max()))
        data = np.empty(int(starts[-1] - starts[0]), dtype=np.uint8)
        store = self._store
        self._files.read_into(store.shard_path(video), data, int(starts[0]), store.name(video))
        starts -= starts[0]
        packets = [data[starts[number] : starts[number + 1]] for number in numbers - first]
        # DALI 2.4 ends the process with a segmentation fault on some of what is no JPEG at all.
        if any(packet[:2].tobytes() != b"\xff\xd8" for packet in packets):
            raise FastrotError(damaged(store, video, "a frame is no JPEG"))
        return packets, len(data)

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

    def read(self, into: list[Bytes], clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read the video at once; a file at the store's size is a few hundred kB."""
        store, video = self._store, int(clips.video[row])
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
    store: Store,
    spec: ClipSpec,
    *,
    batch: int,
    buffers: int,
    finished: bool,
    allocate: Allocate = pageable,
) -> Source:
    """Return the store's source for clips of ``spec``, ``batch`` at the most at once.

    ``finished`` asks for raw clips with which nothing is left to do; ``allocate`` gives the memory of others.
    """
    if store.codec == "raw":
        if finished:
            return FinishedRawSource(store, spec)
        return RawSource(store, spec, batch=batch, buffers=buffers, allocate=allocate)
    if store.codec == "mjpeg":
        return MjpegSource(store, spec.decoded_frames)
    return VideoSource(store)


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
