"""Reads clips of encoded videos (h264, vp9): decoded on a CPU, or as a small file for DALI on a GPU."""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import FastrotError
from pipelines.loading.clip_decoder import ClipDecoder, UndecodableError, brighten
from pipelines.loading.cpu_ops import finish_clip, new_batch
from pipelines.plan import Clips, ClipSpec
from pipelines.store.mp4_writing import mp4_file
from pipelines.store.packet_index import read_groups
from pipelines.store.reading import Store
from pipelines.store.shard_files import Bytes, ShardFiles
from pipelines.store.stored_frames import damaged


class _ThreadState(threading.local):
    """A thread's decoder, and its buffer for a clip's decoded frames, which stays in the CPU cache."""

    def __init__(self, store: Store, spec: ClipSpec):
        self.decoder = ClipDecoder(store.codec, store.size, spec.decoded_frames)
        side = store.size if spec.regions else spec.crop
        self.frames = np.empty((spec.decoded_frames, side, side, 3), dtype=np.uint8)


class DecodedVideoSource:
    """Finished clips, (B, T, crop, crop, 3): decoded, flipped, and for DIF differenced.

    Every batch has new memory, because it is delivered without a copy.
    """

    def __init__(self, store: Store, spec: ClipSpec, *, check: bool):
        self._store = store
        self._spec = spec
        self._check = check
        self._files = ShardFiles()
        self._of_thread = _ThreadState(store, spec)

    def buffer(self, count: int) -> NDArray[Any]:
        """Return new memory."""
        return new_batch(count, self._spec)

    def read(self, into: NDArray[Any], clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read a clip's groups of pictures, and decode and finish its frames."""
        store, video = self._store, int(clips.video[row])
        parts, header, read = read_groups(store, self._files, video, numbers, check=self._check)
        y, x = int(clips.y[row]), int(clips.x[row])
        height, width = int(clips.height[row]), int(clips.width[row])
        state = self._of_thread
        wanted, places = np.unique(numbers, return_inverse=True)
        clip, done = state.frames[:, :height, :width], 0
        try:
            for frames in state.decoder.frames(header, parts, set(wanted.tolist())):
                part = frames[:, y : y + height, x : x + width]
                brighten(part, clip[done : done + len(part)])
                done += len(part)
        except UndecodableError as error:
            raise FastrotError(damaged(store, video, str(error))) from None
        if (np.diff(numbers) <= 0).any():  # the clip turns back at the video's end
            clip = clip[places]
        finish_clip(clip, into[row], flip=bool(clips.flip[row]), spec=self._spec)
        return read


@dataclass
class VideoFiles:
    """MP4 files, one per clip, and the numbers of the clips' frames in them, (B, T') int32."""

    files: list[Bytes]
    numbers: NDArray[np.int32]


class VideoFileSource:
    """Small MP4 files of the packets that each clip needs, for DALI."""

    def __init__(self, store: Store, spec: ClipSpec, *, check: bool):
        self._store = store
        self._frames = spec.decoded_frames
        self._check = check
        self._files = ShardFiles()

    def buffer(self, count: int) -> VideoFiles:
        """Return ``count`` empty files."""
        files = [np.empty(0, dtype=np.uint8)] * count
        return VideoFiles(files, np.zeros((count, self._frames), dtype=np.int32))

    def read(self, into: VideoFiles, clips: Clips, row: int, numbers: NDArray[np.int64]) -> int:
        """Read a clip's groups of pictures, and make a file of them."""
        store, video = self._store, int(clips.video[row])
        parts, header, read = read_groups(store, self._files, video, numbers, check=self._check)
        into.files[row] = mp4_file(store.codec, store.size, header, parts)
        kept = np.concatenate([np.arange(len(p.starts) - 1) + p.first for p in parts])
        into.numbers[row] = np.searchsorted(kept, numbers)
        return read
