"""How each codec's clips are read from the shards, and compared with their checksums.

Reading is by ``pread``, never through a memory map: a shard that is truncated under a running job
then gives an error that names the video, not a bus error. The system calls release the GIL, so
the threads read at the same time.
"""

import itertools
import threading
from typing import Any, Protocol

import numpy as np
from isal.isal_zlib import crc32
from numpy.typing import NDArray

from pipelines.errors import FastrotError
from pipelines.loading.cpu_ops import crop_of, finish_clip, new_batch
from pipelines.plan import Clips, ClipSpec
from pipelines.store.reading import Store
from pipelines.store.shard_files import Bytes, ShardFiles
from pipelines.store.stored_frames import check_frames, damaged, read_packets


class Source(Protocol):
    """Knows how one codec's clips lie on disk, and how a batch of them lies in memory."""

    def buffer(self, count: int) -> Any:
        """Return memory for the next batch, of ``count`` clips, to be filled by ``read``."""

    def read(self, into: Any, clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read the frames ``numbers`` of clip ``row`` into its place; return the bytes read.

        Called from several threads.
        """


class FrameReader:
    """Reads whole raw frames, into memory of each thread that stays in the processor's cache."""

    def __init__(self, store: Store, *, check: bool):
        self._store = store
        self._check = check
        self._files = ShardFiles()
        self._of_thread = threading.local()

    def read(self, video: int, numbers: NDArray[np.int64]) -> Bytes:
        """Return frames of a video, (T', size, size, 3), valid until the thread's next call.

        Consecutive ones are read at once; every call is for as many frames.
        """
        store = self._store
        if not hasattr(self._of_thread, "frames"):
            shape = (len(numbers), store.size, store.size, 3)
            self._of_thread.frames = np.empty(shape, dtype=np.uint8)
        frames: Bytes = self._of_thread.frames
        first, frame_bytes = int(store.offset[video]), 3 * store.size**2
        for begin, end in _runs(numbers.tolist()):
            self._files.read_into(
                store.shard_path(video),
                frames[begin:end],
                first + int(numbers[begin]) * frame_bytes,
                store.name(video),
            )
        if self._check:
            check_frames(store, self._files, video, numbers, list(frames))
        return frames


class RawSource:
    """Cropped uint8 frames, (B, T', crop, crop, 3), for DALI to flip and to take differences of.

    A batch's memory is used again ``buffers`` batches later.
    """

    def __init__(self, frames: FrameReader, spec: ClipSpec, *, batch: int, buffers: int):
        self._frames = frames
        self._spec = spec
        shape = (batch, spec.decoded_frames, spec.crop, spec.crop, 3)
        self._ring = itertools.cycle([np.empty(shape, np.uint8) for _ in range(buffers)])

    def buffer(self, count: int) -> Bytes:
        """Return the ring's next array, cut to ``count`` clips."""
        return next(self._ring)[:count]

    def read(self, into: Bytes, clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read a clip's frames and crop them."""
        frames = self._frames.read(int(clips.video[row]), numbers)
        np.copyto(into[row], crop_of(frames, clips, row, self._spec))
        return frames.nbytes


class FinishedRawSource:
    """Finished clips, (B, T, crop, crop, 3), flipped and as differences for DIF: nothing is left to do.

    Every batch has memory of its own, since nobody copies it on.
    """

    def __init__(self, frames: FrameReader, spec: ClipSpec):
        self._frames = frames
        self._spec = spec

    def buffer(self, count: int) -> NDArray[Any]:
        """Return new memory."""
        return new_batch(count, self._spec)

    def read(self, into: NDArray[Any], clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read a clip's frames and finish them."""
        frames = self._frames.read(int(clips.video[row]), numbers)
        crop = crop_of(frames, clips, row, self._spec)
        finish_clip(crop, into[row], flip=bool(clips.flip[row]), spec=self._spec)
        return frames.nbytes


class MjpegSource:
    """Exactly the JPEG packets of the clip's frames, one array a frame: a list of B x T."""

    def __init__(self, store: Store, frames: int, *, check: bool):
        self._store = store
        self._check = check
        self._frames = frames
        self._files = ShardFiles()

    def buffer(self, count: int) -> list[Bytes]:
        """Return a list of count x T places."""
        return [np.empty(0, dtype=np.uint8)] * (count * self._frames)

    def read(self, into: list[Bytes], clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read a clip's packets."""
        video = int(clips.video[row])
        packets, read = read_packets(self._store, self._files, video, numbers, check=self._check)
        into[row * self._frames : (row + 1) * self._frames] = packets
        return read


class VideoSource:
    """Whole encoded files (h264, vp9): a list of B arrays. The decoder is told which frames it wants."""

    def __init__(self, store: Store, *, check: bool):
        self._store = store
        self._check = check
        self._files = ShardFiles()

    def buffer(self, count: int) -> list[Bytes]:
        """Return a list of ``count`` places."""
        return [np.empty(0, dtype=np.uint8)] * count

    def read(self, into: list[Bytes], clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read the video at once; a file at the store's size is a few hundred kB."""
        store, video = self._store, int(clips.video[row])
        data = self._files.read_video(store, video)
        if self._check and crc32(data.data) != store.crc32[video]:
            raise FastrotError(damaged(store, video, "its bytes do not match their checksum"))
        into[row] = data
        return len(data)


def make_source(
    store: Store,
    spec: ClipSpec,
    *,
    batch: int,
    buffers: int,
    check: bool,
    finished: bool = False,
) -> Source:
    """Return the store's source for clips of ``spec``, ``batch`` at the most at once.

    ``finished`` asks for raw clips with which nothing is left to do; ``check`` compares what is read with
    the checksums that the store has of it.
    """
    if store.codec == "raw":
        frames = FrameReader(store, check=check)
        if finished:
            return FinishedRawSource(frames, spec)
        return RawSource(frames, spec, batch=batch, buffers=buffers)
    if store.codec == "mjpeg":
        return MjpegSource(store, spec.decoded_frames, check=check)
    return VideoSource(store, check=check)


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Split frame numbers into runs of consecutive ones: (begin, end) positions."""
    breaks = [i for i, (a, b) in enumerate(itertools.pairwise(numbers), 1) if b != a + 1]
    return list(itertools.pairwise([0, *breaks, len(numbers)]))
