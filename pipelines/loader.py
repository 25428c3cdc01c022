"""The loader: an iterator over batches of clips as torch tensors, decoded by DALI, on a GPU augmented too."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.clip_reader import ClipReader
from pipelines.errors import FastrotError
from pipelines.finish import finish_batch
from pipelines.graph import build_pipeline
from pipelines.handover import Handover, pinned
from pipelines.plan import Clips, ClipSpec, Plan, frame_numbers
from pipelines.sources import damaged, pageable
from pipelines.store import Store


@dataclass
class Batch:
    """A batch of clips.

    ``clips`` is (B, T, crop, crop, 3), uint8 RGB or int16 DIF (-255..255), and for mjpeg DIF on a GPU a view
    that is not contiguous in B; ``labels`` is (B,) int64, -1 where unlabelled; both on the loader's device.
    ``videos`` and ``samples`` are (B,): the store's and the plan's indices.
    """

    clips: torch.Tensor
    labels: torch.Tensor
    videos: NDArray[np.int64]
    samples: NDArray[np.int64]


class BatchLoader(Protocol):
    """What training asks of a loader."""

    @property
    def waited_s(self) -> float:
        """Seconds that the consumer has waited for batches so far."""

    @property
    def stats(self) -> "LoaderStats":
        """What the loader has done so far."""

    def __iter__(self) -> Iterator[Batch]: ...

    def __next__(self) -> Batch: ...

    def __enter__(self) -> object: ...

    def __exit__(self, *_: object) -> None: ...


@dataclass(frozen=True)
class LoaderStats:
    """What a loader did since it was made.

    ``seconds`` is the time from the first batch's request to the last one's delivery, ``waited_s`` the part
    of it in which the consumer waited; ``bytes_read`` came from the store, a little ahead of the batches;
    ``queue_depth`` is the mean number of batches that lay read and ready when DALI asked for one.
    """

    batches: int
    clips: int
    bytes_read: int
    seconds: float
    waited_s: float
    queue_depth: float

    @property
    def clips_per_s(self) -> float:
        """Clips delivered a second."""
        return self.clips / self.seconds if self.seconds else 0.0

    @property
    def bytes_per_s(self) -> float:
        """Bytes read a second."""
        return self.bytes_read / self.seconds if self.seconds else 0.0


class Loader:
    """Iterates over the batches of ``ranges`` (see ``plan.train_ranges``) in order; a context manager.

    Args:
        store: where the clips are.
        plan: which clips the samples are.
        ranges: (first sample, count) of each batch.
        batch: the most clips in a batch.
        device: where tensors are wanted: a CUDA device runs DALI's GPU operators.
        threads: of DALI, or of reading where there is nothing to decode.
        prefetch: batches prepared before they are asked for.
        hw_decoder_load: share of an mjpeg store's frames that a GPU's hardware JPEG decoder takes.
        labels: (N,) labels by the store's index, in place of the store's own.

    Attributes:
        waited_s: seconds that the consumer has waited for batches so far.

    Raises:
        FastrotError: DALI is not installed, and the clips are not raw on a CPU; while iterating: a clip
            cannot be read.
    """

    def __init__(
        self,
        store: Store,
        plan: Plan,
        ranges: Iterable[tuple[int, int]],
        *,
        batch: int,
        device: torch.device,
        threads: int = 2,
        prefetch: int = 2,
        hw_decoder_load: float = 0.65,
        labels: NDArray[np.int64] | None = None,
    ):
        self._spec = plan.spec
        self._store = store
        self._device = device
        self._labels = store.labels if labels is None else labels
        self._planned: deque[Clips] = deque()
        self._margin = store.size - self._spec.crop
        self._gpu = device.type == "cuda"
        # Raw clips need no decoder: on a CPU the reader's threads finish them.
        finished = store.codec == "raw" and not self._gpu
        self._reader = ClipReader(
            store,
            plan,
            ranges,
            batch=batch,
            threads=threads if finished else min(threads, 4),
            ahead=prefetch,
            held=prefetch + 1,  # DALI works on `prefetch` batches; the one before them is returned
            finished=finished,
            allocate=pinned if self._gpu else pageable,
        )
        self._handover = Handover(device)
        # What DALI reads without a copy must outlive its reading.
        self._lent: deque[Any] = deque(maxlen=prefetch + 2)
        feeds = {"raw": self._feed_raw, "mjpeg": self._feed_mjpeg}
        self._next_fed = feeds.get(store.codec, self._feed_video)
        self._pipeline: Any = None
        if not finished:
            self._pipeline = build_pipeline(
                self._feed,
                codec=store.codec,
                spec=self._spec,
                batch=batch,
                threads=threads,
                prefetch=prefetch,
                gpu=self._gpu,
                device_id=(device.index or 0) if self._gpu else None,
                hw_decoder_load=hw_decoder_load,
            )
        self.waited_s = 0.0
        self._began: float | None = None
        self._ended = 0.0
        self._batches = self._clips = 0

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        began = time.perf_counter()
        self._began = self._began or began
        planned, clips = self._decoded() if self._pipeline is not None else self._read()
        self._ended = time.perf_counter()
        self.waited_s += self._ended - began
        self._batches += 1
        self._clips += len(planned)
        labels = torch.from_numpy(self._labels[planned.video])
        return Batch(
            clips=clips,
            labels=labels.to(self._device, non_blocking=True),
            videos=planned.video,
            samples=planned.sample,
        )

    def _read(self) -> tuple[Clips, torch.Tensor]:
        clips, finished = next(self._reader)
        return clips, torch.from_numpy(finished)

    def _decoded(self) -> tuple[Clips, torch.Tensor]:
        try:
            (output,) = self._pipeline.run()
        except RuntimeError as error:
            raise FastrotError(self._blame(error)) from None
        tensor = self._handover.take(output)
        planned = self._planned.popleft()
        spec, count = self._spec, len(planned)
        if not self._gpu:
            frames = tensor.view(count, spec.decoded_frames, *tensor.shape[-3:]).numpy()
            return planned, torch.from_numpy(finish_batch(frames, planned, spec))
        # mjpeg's DIF has one meaningless difference at the end of each clip.
        given = spec.decoded_frames if self._store.codec == "mjpeg" else spec.frames
        shape = (count, given, spec.crop, spec.crop, 3)
        assert tensor.numel() == math.prod(shape), f"DALI gave {tuple(tensor.shape)}, not {shape}"
        return planned, tensor.view(shape)[:, : spec.frames]

    @property
    def stats(self) -> LoaderStats:
        """What the loader has done so far."""
        return LoaderStats(
            batches=self._batches,
            clips=self._clips,
            bytes_read=self._reader.bytes_read,
            seconds=0.0 if self._began is None else self._ended - self._began,
            waited_s=self.waited_s,
            queue_depth=self._reader.queue_depth,
        )

    def _blame(self, error: RuntimeError) -> str:
        """Say which video DALI could not decode; it does not, so each clip in hand is tried alone."""
        store = self._store
        for clips in self._planned:
            for row in range(len(clips)):
                try:
                    with Loader(
                        store, _Fixed(self._spec, clips), [(row, 1)], batch=1, device=self._device
                    ) as alone:
                        alone._pipeline.run()
                except RuntimeError:
                    return damaged(store, int(clips.video[row]), "DALI cannot decode it")
        return f"DALI failed on clips of {store.path}, though it decodes each alone: {error}"

    def _next_read(self) -> tuple[Clips, Any]:
        clips, data = next(self._reader)
        self._planned.append(clips)
        return clips, data

    def _feed(self, _: Any) -> tuple[Any, ...]:
        fed = self._next_fed()
        self._lent.append(fed)
        return fed

    def _feed_raw(self) -> tuple[Any, ...]:
        clips, frames = self._next_read()
        return frames, clips.flip.astype(np.int32)

    def _feed_video(self) -> tuple[Any, ...]:
        clips, files = self._next_read()
        numbers = frame_numbers(clips, self._spec, self._store.frames).astype(np.int32)
        if not self._gpu:
            return files, numbers
        return files, numbers, _corners(clips), clips.flip.astype(np.int32)

    def _feed_mjpeg(self) -> tuple[Any, ...]:
        clips, packets = self._next_read()
        each = self._spec.decoded_frames
        margin = max(self._margin, 1)  # without a margin every position is 0
        fed = [
            packets,
            np.repeat((clips.y / margin).astype(np.float32), each),
            np.repeat((clips.x / margin).astype(np.float32), each),
        ]
        if self._gpu:
            fed.append(np.repeat(clips.flip.astype(np.int32), each))
        if self._gpu and self._spec.modality == "dif":
            last = len(packets) - 1
            fed.append(np.minimum(np.arange(1, last + 2, dtype=np.int32), last))
        return tuple(fed)

    def close(self) -> None:
        """Stop the reader threads and free DALI's memory."""
        self._reader.close()
        self._pipeline = None

    def __enter__(self) -> "Loader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Fixed:
    """A plan of clips that were planned before; sample g is row g of them."""

    def __init__(self, spec: ClipSpec, clips: Clips):
        self.spec = spec
        self._clips = clips

    def clips(self, first: int, count: int) -> Clips:
        """Return rows ``first`` to ``first + count - 1``."""
        rows = slice(first, first + count)
        columns = {name: value[rows] for name, value in vars(self._clips).items()}
        return Clips(**columns)


def _corners(clips: Clips) -> NDArray[np.int32]:
    return np.stack([clips.y, clips.x], axis=1).astype(np.int32)
