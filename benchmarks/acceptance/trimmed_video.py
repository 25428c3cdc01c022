"""Clips from H.264 by NVDEC: whole files compared with files trimmed to the packets that a clip needs."""

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.acceptance.decode_rate import batches_per_second
from benchmarks.acceptance.measures import measure, options_of
from benchmarks.acceptance.moving_picture import SIZE, moving_picture
from benchmarks.acceptance.rows import Turn
from benchmarks.harness.measure import Case, NotHere, Options
from pipelines.loading.dali_graph import build_pipeline
from pipelines.loading.options import LoaderOptions, default_threads
from pipelines.plan import ClipSpec
from pipelines.prepare.encode import encode
from pipelines.store.codecs import CODECS
from pipelines.store.mp4_writing import mp4_file
from pipelines.store.packet_index import Packets
from pipelines.store.shard_files import Bytes
from pipelines.store.shard_writing import EncodedVideo

VIDEOS, LENGTH = 4, 160
CLIPS, FRAMES, CROP = 32, 16, 112


def run(turn: Turn) -> None:
    """Compare the pixels of both ways first, then their rates."""
    with options_of(turn) as options:
        clips = Clips(options)
        measure(
            turn,
            [
                Case("trimming on the host", clips.trimming),
                Case("pixels of trimmed files", clips.compare),
                Case("whole files", lambda: clips.rate(trimmed=False)),
                Case("trimmed files", lambda: clips.rate(trimmed=True)),
            ],
        )


Fed = tuple[Sequence[Bytes], np.ndarray[Any, Any]]
"""Files, and the numbers of the frames in them, (B, T) int32."""


class Clips:
    """A batch of clips from random places of encoded videos, read whole or trimmed."""

    def __init__(self, options: Options):
        self._options = options
        self._pipelines: dict[bool, Any] = {}

    @cached_property
    def _planned(self) -> list[tuple[EncodedVideo, int]]:
        quality = CODECS["h264"].quality
        videos = [
            encode(moving_picture(LENGTH, seed), "h264", quality, 25) for seed in range(VIDEOS)
        ]
        starts = np.random.default_rng(0).integers(0, LENGTH - FRAMES + 1, CLIPS).tolist()
        return [(videos[row % VIDEOS], start) for row, start in enumerate(starts)]

    @cached_property
    def whole(self) -> Fed:
        """The whole file of each clip."""
        return _fed([(_bytes_of(video), start) for video, start in self._planned])

    @cached_property
    def trimmed(self) -> Fed:
        """The trimmed file of each clip."""
        found = []
        for video, start in self._planned:
            file, first = _trim(video, start)
            found.append((file, start - first))
        return _fed(found)

    def trimming(self) -> Mapping[str, float]:
        """Return the host's milliseconds to trim a clip's file, and the bytes of both."""
        planned = self._planned
        began = time.perf_counter()
        for video, start in planned:
            _trim(video, start)
        seconds = time.perf_counter() - began
        whole, trimmed = (sum(map(len, files)) for files, _ in (self.whole, self.trimmed))
        return {
            "ms_per_clip": 1e3 * seconds / CLIPS,
            "whole_kb": whole / CLIPS / 1e3,
            "trimmed_kb": trimmed / CLIPS / 1e3,
        }

    def compare(self) -> Mapping[str, float]:
        """Return the largest difference in levels between the clips of both ways.

        Raises:
            NotHere: There is no GPU.
        """
        both = []
        for trimmed in (False, True):
            (output,) = self._pipeline(trimmed=trimmed).run()
            both.append(np.array(output.as_cpu().as_tensor()).astype(int))
        return {"most_difference": float(np.abs(both[0] - both[1]).max())}

    def rate(self, *, trimmed: bool) -> Mapping[str, float]:
        """Return the clips per second of a batch that is decoded again and again.

        Raises:
            NotHere: There is no GPU.
        """
        return {"clips_per_s": CLIPS * batches_per_second(self._pipeline(trimmed=trimmed))}

    def _pipeline(self, *, trimmed: bool) -> Any:
        """Return a way's pipeline, built once: its decoders take seconds to start."""
        if trimmed not in self._pipelines:
            self._pipelines[trimmed] = self._build(self.trimmed if trimmed else self.whole)
        return self._pipelines[trimmed]

    def _build(self, fed: Fed) -> Any:
        device = self._options.device
        if device.type != "cuda":
            raise NotHere("there is no GPU")
        files, numbers = fed
        corner = np.full((CLIPS, 2), (SIZE - CROP) // 2, np.int32)
        shape = np.full((CLIPS, 2), CROP, np.int32)
        inputs = (files, numbers, corner, shape, np.zeros(CLIPS, np.int32))
        threads = default_threads(self._options.runtime.cores, device.type)
        return build_pipeline(
            lambda _: inputs,
            "h264",
            ClipSpec(FRAMES, crop=CROP),
            batch=CLIPS,
            device=device,
            options=LoaderOptions(threads=threads),
        )


def _bytes_of(video: EncodedVideo) -> Bytes:
    assert isinstance(video.data, bytes)  # short videos are not spooled
    return np.frombuffer(video.data, dtype=np.uint8)


def _trim(video: EncodedVideo, start: int) -> tuple[Bytes, int]:
    """Return the file that the loader makes of a clip's packets, and the number of its first frame."""
    assert video.index is not None
    key = int(video.index["key"][start])
    needed = video.index[key : start + FRAMES]
    starts = [*needed["start"].tolist(), int(needed["start"][-1] + needed["bytes"][-1])]
    return mp4_file("h264", SIZE, video.header, [Packets(key, _bytes_of(video), starts)]), key


def _fed(clips: Sequence[tuple[Bytes, int]]) -> Fed:
    numbers = np.array([np.arange(start, start + FRAMES) for _, start in clips], dtype=np.int32)
    return [file for file, _ in clips], numbers
