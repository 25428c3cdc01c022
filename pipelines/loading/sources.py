"""How each codec's clips are read from the shards, and compared with their checksums.

Reading is by ``pread``, never through a memory map: a shard that is truncated under a running job
then gives an error that names the video, not a bus error. The system calls release the GIL, so
the threads read at the same time.
"""

import itertools
import threading
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from isal.isal_zlib import crc32
from numpy.typing import NDArray

from pipelines.errors import FastrotError
from pipelines.loading.cpu_ops import crop_of, finish_clip, new_batch
from pipelines.plan import Clips, ClipSpec
from pipelines.store.reading import Store
from pipelines.store.shard_files import Bytes, ShardFiles
from pipelines.store.shard_writing import checksums_path, offsets_path


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
    memory is used again ``buffers`` batches later.
    """

    def __init__(
        self,
        store: Store,
        spec: ClipSpec,
        *,
        batch: int,
        buffers: int,
        check: bool = True,
    ):
        self._store = store
        self._check = check
        self._spec = spec
        self._files = ShardFiles()
        self._of_thread = threading.local()
        shape = (batch, spec.decoded_frames, spec.crop, spec.crop, 3)
        self._ring = itertools.cycle([np.empty(shape, np.uint8) for _ in range(buffers)])

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


class FinishedRawSource(RawSource):
    """Finished clips, (B, T, crop, crop, 3), flipped and as differences for DIF: nothing is left to do.

    Every batch has memory of its own, since nobody copies it on.
    """

    def __init__(self, store: Store, spec: ClipSpec, *, check: bool = True):
        super().__init__(store, spec, batch=0, buffers=1, check=check)

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

    def __init__(
        self, store: Store, frames: int, *, check: bool = True, files: ShardFiles | None = None
    ):
        self._store = store
        self._check = check
        self._frames = frames
        self._files = files or ShardFiles()

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
        store = self._store
        data = self._files.read(
            store.shard_path(video), int(starts[0]), int(starts[-1] - starts[0]), store.name(video)
        )
        starts -= starts[0]
        packets = [data[starts[number] : starts[number + 1]] for number in numbers - first]
        # DALI 2.4 ends the process with a segmentation fault on some of what is no JPEG at all.
        if any(packet[:2].tobytes() != b"\xff\xd8" for packet in packets):
            raise FastrotError(damaged(store, video, "a frame is no JPEG"))
        if self._check:
            check_frames(store, self._files, video, numbers, packets)
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

    def __init__(self, store: Store, *, check: bool = True):
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
    finished: bool,
    check: bool = True,
) -> Source:
    """Return the store's source for clips of ``spec``, ``batch`` at the most at once.

    ``finished`` asks for raw clips with which nothing is left to do; ``check`` compares what is read with
    the checksums that the store has of it.
    """
    if store.codec == "raw":
        if finished:
            return FinishedRawSource(store, spec, check=check)
        return RawSource(store, spec, batch=batch, buffers=buffers, check=check)
    if store.codec == "mjpeg":
        return MjpegSource(store, spec.decoded_frames, check=check)
    return VideoSource(store, check=check)


def check_frames(
    store: Store,
    files: ShardFiles,
    video: int,
    numbers: NDArray[np.int64],
    frames: Sequence[Bytes],
) -> None:
    """Compare the frames ``numbers`` of a video with their checksums, where the store has them.

    Raises:
        FastrotError: a frame is not what was written, or its checksum cannot be read; names the video.
    """
    if not store.settings.frame_checksums:
        return
    first = int(numbers.min())
    written = np.empty(int(numbers.max()) - first + 1, dtype="<u4")
    files.read_into(
        checksums_path(store.shard_path(video)),
        written.view(np.uint8),
        4 * (int(store.index[video]) + first),
        store.name(video),
    )
    for number, frame in zip(numbers.tolist(), frames, strict=True):
        if crc32(frame.data) != written[number - first]:
            raise FastrotError(damaged(store, video, f"frame {number} does not match its checksum"))


def damaged(store: Store, video: int, what: str) -> str:
    """Return the message about a video whose stored bytes are not what was written."""
    return (
        f"video {store.name(video)!r} in {store.shard_path(video)} is damaged: {what}. "
        f"`fastrot store verify {store.path} --fix` lists and drops what is broken"
    )


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Split frame numbers into runs of consecutive ones: (begin, end) positions."""
    breaks = [i for i, (a, b) in enumerate(itertools.pairwise(numbers), 1) if b != a + 1]
    return list(itertools.pairwise([0, *breaks, len(numbers)]))
