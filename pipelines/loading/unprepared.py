"""Clips from unprepared videos: DALI's reader enumerates and decodes every window of each video.

This is for long videos that are not worth transcoding first. It decodes at full resolution, and on a CPU only
VP8, VP9 and MJPEG. A store is faster if videos are used more than once.
"""

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.errors import FastrotError
from pipelines.loading.batches import Batch, BatchLoader, LoaderStats
from pipelines.loading.dali_graph import augment, new_pipeline
from pipelines.loading.handover import Handover
from pipelines.loading.options import DEFAULTS, LoaderOptions
from pipelines.plan import WindowPlan
from pipelines.shares import ALONE, Share


class ReaderLoader(BatchLoader):
    """Iterates endlessly over shuffled windows of video files. A context manager.

    A window of T frames at stride s begins every ``plan.step`` frames of a video, as long as T * s frames
    are left (DALI's rule: a video with fewer frames has no window). Frames are stretched to ``plan.size``,
    then cropped and flipped at random by a hash of (seed, sample). DALI shuffles the windows with the seed. A
    damaged video ends the run: DALI's reader replaces no clips. It reports neither bytes read nor queue
    depth.

    Args:
        videos: Video files.
        plan: The windows, crops and flips.
        batch: Clips per batch.
        device: The device of the tensors.
        share: The part of the windows to read.
        options: Threads and prefetch.
        first: Number of batches already delivered. With ``position``, the windows continue after them.
        position: The result of ``position()`` of a loader over the same files after ``first`` batches.

    Attributes:
        windows: Number of windows of all videos, over all ranks.
        stats: The loader's statistics so far.

    Raises:
        FastrotError: DALI is not installed or cannot read the videos, or a video has a display matrix that
            rotates or mirrors it, which DALI ignores.
    """

    def __init__(
        self,
        videos: Sequence[Path],
        plan: WindowPlan,
        *,
        batch: int,
        device: torch.device,
        share: Share = ALONE,
        options: LoaderOptions = DEFAULTS,
        first: int = 0,
        position: bytes = b"",
    ):
        self._plan, self._share = plan, share
        self._batch, self._device = batch, device
        self._fed = self._taken = first
        self.stats = LoaderStats()
        self._handover = Handover(device)
        reasons = [(path, reason) for path in videos if (reason := _why_unfit(path))]
        if reasons:
            path, reason = reasons[0]
            count = f"{len(reasons)} of {len(videos)} videos"
            raise _refusal(f"cannot use {count}, such as {path}: {reason}")
        # Given a checkpoint, DALI resumes at its position.
        checkpoint = {"checkpoint": position} if position else {}
        try:
            with new_pipeline(
                batch, device, options, seed=plan.seed, enable_checkpointing=True, **checkpoint
            ) as self._pipeline:
                files = [str(path.resolve()) for path in videos]
                define_windows(self._pipeline, self._feed, files, plan, share, device)
            self.windows = int(self._pipeline.reader_meta("reader")["epoch_size"])
        except RuntimeError as error:
            why = _first_line(error)
            raise _refusal(f"cannot use the videos, such as {videos[0]}: {why}") from None

    def __next__(self) -> Batch:
        with self.stats.delivery():
            try:
                clips, file = self._pipeline.run()
            except RuntimeError as error:
                raise _refusal(f"failed: {_first_line(error)}") from None
            tensor = self._handover.take(clips)
        self.stats.clips += self._batch
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

    def position(self) -> bytes:
        """Return DALI's checkpoint of its reader after the last batch."""
        return bytes(self._pipeline.checkpoint())

    def _samples(self, number: int) -> NDArray[np.int64]:
        """Return the global sample indices of this rank's batch ``number``."""
        first = (number * self._share.world + self._share.rank) * self._batch
        return np.arange(first, first + self._batch, dtype=np.int64)

    def _feed(self, _: Any) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        corners, flip = self._plan.crops(self._samples(self._fed))
        self._fed += 1
        return corners.astype(np.int32), flip.astype(np.int32)

    def close(self) -> None:
        """Free DALI's memory."""
        self._handover.close()
        self._pipeline = None
        gc.collect()  # DALI's pipeline has a reference cycle


def define_windows(
    pipeline: Any,
    feed: Callable[..., Any],
    files: Sequence[str],
    plan: WindowPlan,
    share: Share,
    device: torch.device,
) -> None:
    """Define the graph that reads shuffled windows of the files endlessly. Call within ``new_pipeline``.

    Its outputs are the clips, (B, T, crop, crop, 3), and the index of each clip's file, (B, 1) int32.
    ``feed`` returns (corner, flip), (B, 2) int32 and (B,) int32. DALI must be able to decode the files'
    codecs on the device (on a CPU: VP8, VP9 and MJPEG).
    """
    from nvidia.dali import fn, types

    windows: Any = fn.experimental.readers.video(
        device="gpu" if device.type == "cuda" else "cpu",
        filenames=list(files),
        labels=list(range(len(files))),
        sequence_length=plan.spec.decoded_frames,
        stride=plan.spec.stride,
        step=plan.step,
        random_shuffle=True,
        initial_fill=1024,
        shard_id=share.rank,
        num_shards=share.world,
        pad_mode="none",
        name="reader",
    )
    frames, file = windows
    corner, flip = fn.external_source(source=feed, num_outputs=2, batch=True, batch_info=True)
    square = fn.resize(
        frames,
        size=(plan.size, plan.size),
        interp_type=types.DALIInterpType.INTERP_LINEAR,
        antialias=True,
    )
    shape = (plan.spec.crop, plan.spec.crop)
    pipeline.set_outputs(augment(square, corner, shape, flip, plan.spec), file)


def _refusal(what: str) -> FastrotError:
    return FastrotError(
        f"DALI's reader {what}. Prepare the videos (`fastrot prepare`) and train on the store."
    )


def _why_unfit(path: Path) -> str | None:
    """Return why DALI cannot decode a video as a player shows it, or None. Decodes the first frame."""
    import av

    from pipelines.prepare.decoding import Decoder
    from pipelines.prepare.orientation import UPRIGHT, orientation_of

    try:
        with av.open(str(path)) as container:
            frame = next(Decoder(container).frames(), None)
            if frame is None:
                return "no decodable video frame"
            if orientation_of(frame) != UPRIGHT:
                return "its display matrix rotates or mirrors the picture, which DALI ignores"
    except av.FFmpegError as error:
        return f"FFmpeg cannot decode the file: {error.strerror}"
    except FastrotError as error:
        return str(error)
    return None


def _first_line(error: Exception) -> str:
    """Return the line of DALI's long message that describes the error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "Error" in line or "Assert" in line), lines[0])
