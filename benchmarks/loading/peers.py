"""Other ways to load the same clips: decoders and a memory map with torch's DataLoader.

Every peer loads the clips of one plan: the same videos, starts, crops and flips as our loader, so the
results can be compared pixel by pixel. Each peer opens the video anew for every clip, because a real data set
has more videos than a process may keep open.
"""

import collections
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from benchmarks.harness.measure import NotHere
from pipelines.loading.threads import serial_threads
from pipelines.plan import Plan

Frames = NDArray[np.uint8]
Decode = Callable[[Any, int, int], Frames]
"""(path or bytes of a file, first frame, frames) -> (T, H, W, 3) uint8."""

TIMEOUT_S = 60.0


def decode_with_pyav(path: Path, start: int, count: int) -> Frames:
    """Seek to the key frame before ``start``, decode from there, and keep ``count`` frames."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        rate, base = stream.average_rate, stream.time_base
        assert rate is not None
        assert base is not None
        container.seek(round(start / rate / base), stream=stream)
        frames: list[Frames] = []
        for frame in container.decode(stream):
            assert frame.pts is not None
            if round(frame.pts * base * rate) >= start:
                frames.append(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))
            if len(frames) == count:
                break
    return np.stack(frames)


def decode_with_torchcodec(file: Path | bytes, start: int, count: int, device: str = "cpu") -> Any:
    """Decode ``count`` frames; "approximate" seeking avoids a full scan of the file and is exact here."""
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(
        file, dimension_order="NHWC", seek_mode="approximate", num_ffmpeg_threads=1, device=device
    )
    frames = decoder.get_frames_in_range(start, start + count).data
    return frames if device != "cpu" else frames.numpy()


def decode_with_decord(path: Path, start: int, count: int) -> Frames:
    """Decode ``count`` frames with decord2, one thread per process."""
    import decord

    reader = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)
    frames: Frames = reader.get_batch(range(start, start + count)).asnumpy()
    return frames


def slice_of_map(path: Path, start: int, count: int) -> Frames:
    """Return frames of a memory-mapped ``.npy`` file: only the crop is read."""
    frames: Frames = np.load(path, mmap_mode="r")[start : start + count]
    return frames


DECODERS: dict[str, Decode] = {
    "torchcodec": decode_with_torchcodec,
    "PyAV": decode_with_pyav,
    "decord2": decode_with_decord,
}


def require(peer: str) -> None:
    """Check that a peer's package works on this machine.

    Raises:
        NotHere: It is not installed, or one of its libraries is missing.
    """
    module = {"torchcodec": "torchcodec.decoders", "decord2": "decord", "PyAV": "av"}[peer]
    try:
        __import__(module)
    except ImportError:
        raise NotHere(f"{peer} is not installed: pip install -e '.[peers]'") from None
    except (OSError, RuntimeError):
        raise NotHere(
            f"{peer} cannot find FFmpeg's shared libraries; install FFmpeg or use those of PyAV: "
            "LD_LIBRARY_PATH=$(python -m benchmarks.loading.ffmpeg) fastrot bench ..."
        ) from None


@dataclass(frozen=True)
class PlannedBatches(Dataset[torch.Tensor]):
    """Batches of a plan, (B, T, crop, crop, 3) uint8.

    ``files`` are what ``decode`` takes, paths or bytes, keyed by store index.
    """

    files: Mapping[int, Path | bytes]
    plan: Plan
    ranges: Sequence[tuple[int, int]]
    decode: Decode

    def __len__(self) -> int:
        return len(self.ranges)

    def __getitem__(self, i: int) -> torch.Tensor:
        clips, spec = self.plan.clips(*self.ranges[i]), self.plan.spec
        batch = torch.empty((len(clips), spec.frames, spec.crop, spec.crop, 3), dtype=torch.uint8)
        into = batch.numpy()
        for row in range(len(clips)):
            start, y, x = int(clips.start[row]), int(clips.y[row]), int(clips.x[row])
            frames = self.decode(self.files[int(clips.video[row])], start, spec.frames)
            crop = frames[:, y : y + spec.crop, x : x + spec.crop]
            into[row] = crop[:, :, ::-1] if clips.flip[row] else crop
        return batch


@contextlib.contextmanager
def data_loader(batches: PlannedBatches, workers: int) -> Iterator[Iterator[torch.Tensor]]:
    """Provide an iterator over the batches, loaded by ``workers`` DataLoader processes."""
    loader = DataLoader(
        batches,
        batch_size=None,  # an item is a whole batch in shared memory: no collate
        num_workers=workers,
        prefetch_factor=2,
        timeout=TIMEOUT_S,
        pin_memory=torch.cuda.is_available(),
        multiprocessing_context="fork",  # fastest start; safe because workers use neither CUDA nor DALI
    )
    iterator = iter(loader)
    try:
        yield iterator
    finally:
        del iterator  # stops the workers


@contextlib.contextmanager
def in_threads(batches: PlannedBatches, threads: int) -> Iterator[Iterator[torch.Tensor]]:
    """Provide an iterator over the batches, each loaded by one of ``threads`` threads, two per thread ahead.

    Nothing is copied between processes, and torch uses one thread in each of these threads, as in ours.
    """
    pool = serial_threads(threads, "peer")

    def load(number: int) -> torch.Tensor:
        batch = batches[number]
        return batch.pin_memory() if torch.cuda.is_available() else batch

    def submit(number: int) -> Future[torch.Tensor]:
        return pool.submit(load, number)

    def given() -> Iterator[torch.Tensor]:
        ahead = collections.deque(map(submit, range(min(2 * threads, len(batches)))))
        for number in range(len(ahead), len(batches) + len(ahead)):
            yield ahead.popleft().result(TIMEOUT_S)
            if number < len(batches):
                ahead.append(submit(number))

    try:
        yield given()
    finally:
        pool.shutdown(cancel_futures=True)


def decoded_on_the_gpu(batches: PlannedBatches, threads: int) -> Iterator[torch.Tensor]:
    """Yield the batches decoded by torchcodec on the GPU, ``threads`` clips at a time."""

    def one(file: Path | bytes, start: int, y: int, x: int, flip: bool) -> torch.Tensor:
        spec = batches.plan.spec
        frames = decode_with_torchcodec(file, start, spec.frames, "cuda")
        crop: torch.Tensor = frames[:, y : y + spec.crop, x : x + spec.crop]
        return crop.flip(2) if flip else crop

    with ThreadPoolExecutor(threads) as pool:
        for first, count in batches.ranges:
            clips = batches.plan.clips(first, count)
            files = [batches.files[int(video)] for video in clips.video]
            columns = (column.tolist() for column in (clips.start, clips.y, clips.x, clips.flip))
            yield torch.stack(list(pool.map(one, files, *columns)))
