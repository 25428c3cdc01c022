"""Clips from H.264 by NVDEC: whole files compared with files trimmed to the packets that a clip needs."""

import io
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import av
import numpy as np
import torch

from benchmarks.acceptance.measures import measure, options_of
from benchmarks.acceptance.moving_picture import SIZE, moving_picture
from benchmarks.acceptance.rows import Turn
from benchmarks.harness.measure import Case, NotHere, Options
from pipelines.loading.dali_graph import build_pipeline
from pipelines.loading.options import LoaderOptions, default_threads
from pipelines.plan import ClipSpec
from pipelines.prepare.encode import GOP, encode
from pipelines.store.codecs import CODECS

VIDEOS, LENGTH = 4, 160
CLIPS, FRAMES, CROP = 32, 16, 112
SECONDS = 1.5


def run(turn: Turn) -> None:
    """Compare the pixels of both ways first, then their rates."""
    with options_of(turn) as options:
        clips = Clips(options)
        measure(
            turn,
            [
                Case("trimming on the host", clips.trimming),
                Case("pixels of trimmed files", clips.compare),
                Case("whole files", lambda: clips.rate(clips.whole)),
                Case("trimmed files", lambda: clips.rate(clips.trimmed)),
            ],
        )


def trim_file(data: bytes, first: int, last: int) -> tuple[bytes, int]:
    """Return an MP4 file of the packets needed for the frames ``first`` to ``last``, and its first frame.

    A store's packets are its frames in order, with a key frame every 16.
    """
    key = first // GOP * GOP
    buffer = io.BytesIO()
    with av.open(io.BytesIO(data), "r") as source, av.open(buffer, "w", format="mp4") as target:
        (stream,) = source.streams.video
        copy = target.add_stream_from_template(stream)
        shift = None
        for number, packet in enumerate(source.demux(stream)):
            if not key <= number <= last or packet.pts is None or packet.dts is None:
                continue
            # From zero on: otherwise the file has an edit list, which delays its first frame.
            shift = packet.pts if shift is None else shift
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = copy
            target.mux(packet)
    return buffer.getvalue(), key


Fed = tuple[Sequence[np.ndarray[Any, Any]], np.ndarray[Any, Any]]
"""Files, and the numbers of the frames in them, (B, T) int32."""


class Clips:
    """A batch of clips from random places of encoded videos, read whole or trimmed."""

    def __init__(self, options: Options):
        self._options = options

    @cached_property
    def _planned(self) -> list[tuple[bytes, int]]:
        quality = CODECS["h264"].quality
        videos = []
        for seed in range(VIDEOS):
            found = encode(moving_picture(LENGTH, seed), "h264", quality, 25).data
            videos.append(bytes(found))
        starts = np.random.default_rng(0).integers(0, LENGTH - FRAMES + 1, CLIPS).tolist()
        return [(videos[row % VIDEOS], start) for row, start in enumerate(starts)]

    @cached_property
    def whole(self) -> Fed:
        """The whole file of each clip."""
        return _fed([(data, start) for data, start in self._planned])

    @cached_property
    def trimmed(self) -> Fed:
        """The trimmed file of each clip."""
        found = []
        for data, start in self._planned:
            file, first = trim_file(data, start, start + FRAMES - 1)
            found.append((file, start - first))
        return _fed(found)

    def trimming(self) -> Mapping[str, float]:
        """Return the host's milliseconds to trim a clip's file, and the bytes of both."""
        planned = self._planned
        began = time.perf_counter()
        for data, start in planned:
            trim_file(data, start, start + FRAMES - 1)
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
        for fed in (self.whole, self.trimmed):
            (output,) = self._pipeline(fed).run()
            both.append(np.array(output.as_cpu().as_tensor()).astype(int))
        return {"most_difference": float(np.abs(both[0] - both[1]).max())}

    def rate(self, fed: Fed) -> Mapping[str, float]:
        """Return the clips per second of a batch that is decoded again and again.

        Raises:
            NotHere: There is no GPU.
        """
        pipeline = self._pipeline(fed)
        for _ in range(3):
            pipeline.run()
        torch.cuda.synchronize()
        began = time.perf_counter()
        batches = 0
        while time.perf_counter() - began < SECONDS:
            pipeline.run()
            batches += 1
        torch.cuda.synchronize()
        return {"clips_per_s": batches * CLIPS / (time.perf_counter() - began)}

    def _pipeline(self, fed: Fed) -> Any:
        device = self._options.device
        if device.type != "cuda":
            raise NotHere("there is no GPU")
        files, numbers = fed
        corner = np.full((CLIPS, 2), (SIZE - CROP) // 2, np.int32)
        inputs = (files, numbers, corner, np.zeros(CLIPS, np.int32))
        threads = default_threads(self._options.runtime.cores, device.type)
        return build_pipeline(
            lambda _: inputs,
            "h264",
            ClipSpec(FRAMES, crop=CROP),
            batch=CLIPS,
            device=device,
            options=LoaderOptions(threads=threads),
        )


def _fed(clips: Sequence[tuple[bytes, int]]) -> Fed:
    files = [np.frombuffer(data, dtype=np.uint8) for data, _ in clips]
    numbers = np.array([np.arange(start, start + FRAMES) for _, start in clips], dtype=np.int32)
    return files, numbers
