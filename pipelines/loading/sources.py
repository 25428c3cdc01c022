"""Reads each codec's clips from the shards, and verifies their checksums.

Reads use ``pread`` instead of a memory map: if a shard is truncated while a job runs, the error names the
video instead of being a bus error. The system calls release the GIL, so threads read in parallel.
"""

import itertools
import threading
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.loading.cpu_ops import crop_of, finish_clip, new_batch
from pipelines.loading.pinned import pinned_empty
from pipelines.plan import Clips, ClipSpec
from pipelines.store.reading import Store
from pipelines.store.shard_files import Bytes, ShardFiles
from pipelines.store.stored_frames import check_frames, read_packets


class Source(Protocol):
    """Reads the clips of one codec, and defines the memory layout of a batch."""

    def buffer(self, count: int) -> Any:
        """Return memory for the next batch of ``count`` clips, which ``read`` fills."""

    def read(self, into: Any, clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read the frames ``numbers`` of clip ``row`` into its part of ``into``, and return the bytes read.

        Called from several threads.
        """


class FrameReader:
    """Reads full raw frames into a buffer per thread, which stays in the CPU cache."""

    def __init__(self, store: Store, *, check: bool):
        self._store = store
        self._check = check
        self._files = ShardFiles()
        self._of_thread = threading.local()

    def read(self, video: int, numbers: NDArray[np.int64]) -> Bytes:
        """Return frames of a video, (T', size, size, 3), valid until the thread's next call.

        Consecutive frames are read at once. T' must be the same in every call.
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
    """Cropped uint8 frames, (B, T', crop, crop, 3), which DALI flips and differences.

    A batch's memory is pinned if there is a GPU, and reused ``buffers`` batches later.
    """

    def __init__(self, frames: FrameReader, spec: ClipSpec, *, batch: int, buffers: int):
        self._frames = frames
        shape = (buffers, batch, spec.decoded_frames, spec.crop, spec.crop, 3)
        self._ring: Iterator[Bytes] = itertools.cycle(pinned_empty(shape))

    def buffer(self, count: int) -> Bytes:
        """Return the next array of the ring, cut to ``count`` clips."""
        return next(self._ring)[:count]

    def read(self, into: Bytes, clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read a clip's frames and crop them."""
        frames = self._frames.read(int(clips.video[row]), numbers)
        np.copyto(into[row], crop_of(frames, clips, row))
        return frames.nbytes


class RawRegionSource:
    """Regions of uint8 frames, a list of B arrays (T', height, width, 3), which DALI resizes and flips.

    Memory is reused as in ``RawSource``.
    """

    def __init__(self, frames: FrameReader, spec: ClipSpec, size: int, *, batch: int, buffers: int):
        self._frames = frames
        shape = (buffers, batch, spec.decoded_frames * size * size * 3)
        self._ring: Iterator[Bytes] = itertools.cycle(pinned_empty(shape))

    def buffer(self, count: int) -> list[Bytes]:
        """Return ``count`` arrays of the ring, each large enough for whole frames."""
        return list(next(self._ring)[:count])

    def read(self, into: list[Bytes], clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read a clip's frames, and replace its array by a part of it that contains the region."""
        frames = self._frames.read(int(clips.video[row]), numbers)
        region = crop_of(frames, clips, row)
        into[row] = into[row].reshape(-1)[: region.size].reshape(region.shape)
        np.copyto(into[row], region)
        return frames.nbytes


class FinishedRawSource:
    """Finished clips, (B, T, crop, crop, 3): flipped, and for DIF differenced.

    Every batch has new memory, because it is delivered without a copy.
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
        crop = crop_of(frames, clips, row)
        finish_clip(crop, into[row], flip=bool(clips.flip[row]), spec=self._spec)
        return frames.nbytes


class MjpegSource:
    """The JPEG packets of the clips' frames: a list of B x T' arrays, one per frame."""

    def __init__(self, store: Store, frames: int, *, check: bool):
        self._store = store
        self._check = check
        self._frames = frames
        self._files = ShardFiles()

    def buffer(self, count: int) -> list[Bytes]:
        """Return a list of ``count`` x T' empty arrays."""
        return [np.empty(0, dtype=np.uint8)] * (count * self._frames)

    def read(self, into: list[Bytes], clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read a clip's packets."""
        video = int(clips.video[row])
        packets, read = read_packets(self._store, self._files, video, numbers, check=self._check)
        into[row * self._frames : (row + 1) * self._frames] = packets
        return read


def make_source(
    store: Store,
    spec: ClipSpec,
    *,
    batch: int,
    buffers: int,
    check: bool,
    finished: bool = False,
) -> Source:
    """Return the store's source for clips of ``spec``, in batches of at most ``batch``.

    With ``finished``, clips of raw, h264 and vp9 are decoded, flipped and differenced already. With
    ``check``, the bytes read are compared with the store's checksums.
    """
    if store.codec == "raw":
        frames = FrameReader(store, check=check)
        if finished:
            return FinishedRawSource(frames, spec)
        if spec.regions:
            return RawRegionSource(frames, spec, store.size, batch=batch, buffers=buffers)
        return RawSource(frames, spec, batch=batch, buffers=buffers)
    if store.codec == "mjpeg":
        return MjpegSource(store, spec.decoded_frames, check=check)
    # Here, so that the other codecs are read without PyAV.
    from pipelines.loading.video_sources import DecodedVideoSource, VideoFileSource

    if finished:
        return DecodedVideoSource(store, spec, check=check)
    return VideoFileSource(store, spec, check=check)


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Split frame numbers into runs of consecutive numbers, as (begin, end) positions."""
    breaks = [i for i, (a, b) in enumerate(itertools.pairwise(numbers), 1) if b != a + 1]
    return list(itertools.pairwise([0, *breaks, len(numbers)]))
