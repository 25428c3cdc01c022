"""Clips straight from unprepared videos: every window of each, enumerated and decoded by DALI's reader.

For long videos that nobody wants to transcode first. It decodes at full resolution, and on a CPU
only VP8, VP9 and MJPEG, so a store is faster wherever videos are used more than once.
"""

import gc
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from pipelines.errors import FastrotError
from pipelines.loading.dali_graph import build_reader_pipeline
from pipelines.loading.handover import Handover
from pipelines.loading.loader import Batch, LoaderStats
from pipelines.loading.replacement import Replaced
from pipelines.plan import ClipSpec, crop_of_samples
from pipelines.prepare.decoding import Decoder
from pipelines.prepare.orientation import UPRIGHT, orientation_of


class ReaderLoader:
    """Iterates without end over shuffled windows of video files; a context manager.

    A window of T frames at stride s begins every ``step`` frames of a video, as long as T * s frames
    are left (DALI's rule: one video of fewer frames gives none). Frames are stretched to ``size`` x
    ``size`` and cropped and flipped at random, by a hash of (seed, sample); the order is DALI's, by its seed.

    Args:
        videos: files.
        spec: the clips' shape and modality.
        size: side in pixels to which frames are stretched before the crop.
        step: frames from one window's start to the next one's.
        seed: of the order, the crops and the flips.
        batch: clips in a batch.
        device: where tensors are wanted.
        first: batches that went before; with ``position`` the windows go on behind them.
        position: what ``position()`` of a loader over the same files returned after ``first`` batches.
        flip: probability of mirroring a clip.
        rank: which of ``world`` parts of the windows to read.
        world: parts.
        threads: DALI's CPU threads.
        prefetch: batches that DALI prepares before they are asked for.

    Attributes:
        windows: windows of all the videos, over all ranks.
        waited_s: seconds that the consumer has waited for batches so far.

    Raises:
        FastrotError: DALI is not installed or cannot read the videos, or would show one of them otherwise
            than a player: it has to be turned or mirrored.
    """

    def __init__(
        self,
        videos: Sequence[Path],
        spec: ClipSpec,
        *,
        size: int,
        step: int,
        seed: int,
        batch: int,
        device: torch.device,
        first: int = 0,
        position: bytes = b"",
        flip: float = 0.5,
        rank: int = 0,
        world: int = 1,
        threads: int = 2,
        prefetch: int = 2,
    ):
        self._spec = spec
        self._size = size
        self._seed = seed
        self._flip = flip
        self._batch = batch
        self._device = device
        self._rank, self._world = rank, world
        self._fed = self._taken = self._first = first
        self.waited_s = 0.0
        self._began: float | None = None
        self._ended = 0.0
        self._handover = Handover(device)
        gpu = device.type == "cuda"
        reasons = [(path, reason) for path in videos if (reason := _why_unfit(path))]
        if reasons:
            path, reason = reasons[0]
            raise FastrotError(
                f"DALI's reader cannot take {len(reasons)} of {len(videos)} videos as they are, such as "
                f"{path}: {reason}. Prepare the videos (fastrot prepare) and train on the store"
            )
        files = [str(path.resolve()) for path in videos]
        try:
            self._pipeline = build_reader_pipeline(
                self._feed,
                files,
                spec=spec,
                size=size,
                step=step,
                seed=seed,
                position=position,
                rank=rank,
                world=world,
                batch=batch,
                threads=threads,
                prefetch=prefetch,
                gpu=gpu,
                device_id=(device.index or 0) if gpu else None,
            )
            self.windows = int(self._pipeline.reader_meta("reader")["epoch_size"])
        except RuntimeError as error:
            raise FastrotError(
                f"DALI's reader cannot use the videos, such as {videos[0]}: {_first_line(error)}; "
                "prepare them (fastrot prepare) and train on the store"
            ) from None

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        began = time.perf_counter()
        self._began = self._began or began
        try:
            clips, file = self._pipeline.run()
        except RuntimeError as error:
            raise FastrotError(f"DALI's reader failed: {_first_line(error)}") from None
        tensor = self._handover.take(clips)
        self._ended = time.perf_counter()
        self.waited_s += self._ended - began
        samples = self._samples(self._taken)
        self._taken += 1
        files = file.as_cpu() if hasattr(file, "as_cpu") else file
        videos = np.array(files.as_tensor()).reshape(-1).astype(np.int64)
        return Batch(
            clips=tensor,
            labels=torch.full((self._batch,), -1, dtype=torch.int64, device=self._device),
            videos=videos,
            samples=samples,
        )

    @property
    def stats(self) -> LoaderStats:
        """What the loader has done so far; DALI's reader does not tell its bytes or its queue."""
        batches = self._taken - self._first
        return LoaderStats(
            batches=batches,
            clips=batches * self._batch,
            bytes_read=0,
            seconds=0.0 if self._began is None else self._ended - self._began,
            waited_s=self.waited_s,
            queue_depth=0.0,
        )

    def take_replaced(self) -> list[Replaced]:
        """Return nothing: DALI's reader replaces no clips, a broken video ends the run."""
        return []

    def position(self) -> bytes:
        """Return DALI's own account of where its reader stands after the last batch."""
        return bytes(self._pipeline.checkpoint())

    def _samples(self, number: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """Return the global sample indices of this rank's batch ``number``."""
        first = (number * self._world + self._rank) * self._batch
        return np.arange(first, first + self._batch, dtype=np.int64)

    def _feed(self, _: Any) -> Any:
        y, x, flip = crop_of_samples(
            self._seed, self._samples(self._fed), self._size, self._spec, self._flip
        )
        self._fed += 1
        return np.stack([y, x], axis=1).astype(np.int32), flip.astype(np.int32)

    def close(self) -> None:
        """Free DALI's memory."""
        self._handover.close()
        self._pipeline = None

    def __enter__(self) -> "ReaderLoader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        gc.collect()  # DALI's pipeline refers to itself


def _why_unfit(path: Path) -> str | None:
    """Return why DALI would not show a video as a player does, or None; decodes its first frame."""
    try:
        with av.open(str(path)) as container:
            frame = next(Decoder(container).frames(), None)
            if frame is None:
                return "it has no decodable video frame"
            if orientation_of(frame) != UPRIGHT:
                return "its display matrix turns or mirrors the picture, which DALI does not do"
    except av.FFmpegError as error:
        return f"FFmpeg cannot decode it: {error.strerror}"
    except FastrotError as error:
        return str(error)
    return None


def _first_line(error: Exception) -> str:
    """Return the line of DALI's long message that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "Error" in line or "Assert" in line), lines[0])
