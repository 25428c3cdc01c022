"""The loader: an iterator over batches of clips as torch tensors, decoded by DALI, on a GPU augmented too."""

import gc
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.errors import FastrotError, UnreadableError
from pipelines.loading.clip_reader import ClipReader, ReadBatch
from pipelines.loading.cpu_ops import finish_batch
from pipelines.loading.dali_feed import arrays
from pipelines.loading.dali_graph import build_pipeline
from pipelines.loading.handover import Handover
from pipelines.loading.replacement import Replaced, Tolerance
from pipelines.loading.threads import serial_threads
from pipelines.plan import Clips, ClipSpec, Plan
from pipelines.store.reading import Store
from pipelines.store.stored_frames import damaged


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

    def take_replaced(self) -> list[Replaced]:
        """Return the clips replaced in the batches given since the last call."""

    def position(self) -> bytes:
        """Return what going on after the last batch needs beside the step's number, to be saved; or b""."""

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
        threads: of DALI, and of the reader for raw clips; other codecs' packets are read by at most four.
        prefetch: batches prepared before they are asked for.
        hw_decoder_load: share of an mjpeg store's frames that a GPU's hardware JPEG decoder takes.
        labels: (N,) labels by the store's index, in place of the store's own.
        broken_share: of clips that cannot be read, which are replaced by the plan's next; None replaces
            none, and a single one is an error.
        tolerance: a rule in place of ``broken_share``.
        check: compare what is read with the store's checksums.

    Attributes:
        waited_s: seconds that the consumer has waited for batches so far.
        rebuilds: how often DALI's pipeline was made anew after a clip that it could not decode.

    Raises:
        FastrotError: DALI is not installed; while iterating: a clip, or too many, cannot be read.
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
        broken_share: float | None = None,
        tolerance: Tolerance | None = None,
        check: bool = True,
    ):
        self._spec = plan.spec
        self._store = store
        self._device = device
        self._labels = store.labels if labels is None else labels
        self._plan = plan
        self._gpu = device.type == "cuda"
        self._batch, self._threads, self._prefetch = batch, threads, prefetch
        self._check = check
        self._tolerance = tolerance if broken_share is None else Tolerance(broken_share)
        # Batches that were read and given to DALI, and ranges taken of which no batch was delivered.
        self._planned: deque[ReadBatch] = deque()
        self._open: deque[tuple[int, int]] = deque()
        self._again: deque[tuple[int, int]] = deque()
        self._ranges = iter(ranges)
        self._replaced: list[Replaced] = []
        self._hw_decoder_load = hw_decoder_load
        self._handover = Handover(device)
        # What DALI reads without a copy must outlive its reading.
        self._lent: deque[Any] = deque(maxlen=prefetch + 2)
        self._pipeline: Any = None
        self._finishers: ThreadPoolExecutor | None = None
        self._bytes_before = 0
        self.rebuilds = 0
        self._start()
        self.waited_s = 0.0
        self._began: float | None = None
        self._ended = 0.0
        self._batches = self._clips = 0

    def _start(self) -> None:
        """Make the reader and DALI's pipeline, at the first batch that was not delivered."""
        gpu = self._gpu
        # Raw clips need no decoder: the reader's threads crop them, and on a CPU finish them.
        raw = self._store.codec == "raw"
        finished = raw and not gpu
        self._reader = ClipReader(
            self._store,
            self._plan,
            self._take_ranges(),
            batch=self._batch,
            threads=self._threads if raw else min(self._threads, 4),
            ahead=self._prefetch,
            # DALI works on `prefetch` batches; the one before them is returned
            held=self._prefetch + 1,
            tolerance=self._tolerance,
            check=self._check,
            finished=finished,
        )
        if finished:
            return
        try:
            if not gpu:
                # Not the reader's threads: behind what those have to do, finishing would wait for the disk.
                self._finishers = serial_threads(self._threads, "fastrot-finish")
            self._pipeline = build_pipeline(
                self._feed,
                codec=self._store.codec,
                spec=self._spec,
                batch=self._batch,
                threads=self._threads,
                prefetch=self._prefetch,
                gpu=gpu,
                device_id=(self._device.index or 0) if gpu else None,
                hw_decoder_load=self._hw_decoder_load,
            )
        except BaseException:
            self.close()
            raise

    def _take_ranges(self) -> Iterator[tuple[int, int]]:
        while True:
            taken = self._again.popleft() if self._again else next(self._ranges, None)
            if taken is None:
                return
            self._open.append(taken)
            yield taken

    def _rebuild(self) -> None:
        """Begin again at the first batch that was not delivered: a pipeline that failed is of no use."""
        self.rebuilds += 1
        self._bytes_before += self._reader.bytes_read
        self.close()
        self._planned.clear()
        self._again = deque([*self._open, *self._again])
        self._open.clear()
        self._start()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        began = time.perf_counter()
        self._began = self._began or began
        if self._pipeline is None:
            read = next(self._reader)
            clips = torch.from_numpy(read.data)
        else:
            read, clips = self._decoded()
        self._open.popleft()
        self._replaced += read.replaced
        planned = read.clips
        if self._tolerance is not None:
            self._tolerance.delivered += len(planned)
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

    def _decoded(self) -> tuple[ReadBatch, torch.Tensor]:
        while True:
            try:
                (output,) = self._pipeline.run()
                break
            except RuntimeError as error:
                self._bear(error)
        tensor = self._handover.take(output)
        read = self._planned.popleft()
        spec, count = self._spec, len(read.clips)
        if self._finishers is not None:
            frames = tensor.view(count, spec.decoded_frames, *tensor.shape[-3:]).numpy()
            return read, torch.from_numpy(finish_batch(frames, read.clips, spec, self._finishers))
        # mjpeg's DIF has one meaningless difference at the end of each clip.
        given = spec.decoded_frames if self._store.codec == "mjpeg" else spec.frames
        shape = (count, given, spec.crop, spec.crop, 3)
        assert tensor.numel() == math.prod(shape), f"DALI gave {tuple(tensor.shape)}, not {shape}"
        return read, tensor.view(shape)[:, : spec.frames]

    @property
    def stats(self) -> LoaderStats:
        """What the loader has done so far."""
        return LoaderStats(
            batches=self._batches,
            clips=self._clips,
            bytes_read=self._bytes_before + self._reader.bytes_read,
            seconds=0.0 if self._began is None else self._ended - self._began,
            waited_s=self.waited_s,
            queue_depth=self._reader.queue_depth,
        )

    def take_replaced(self) -> list[Replaced]:
        """Return the clips replaced in the batches given since the last call."""
        taken, self._replaced = self._replaced, []
        return taken

    def position(self) -> bytes:
        """Return nothing: where a plan goes on follows from the step alone."""
        return b""

    def _bear(self, error: RuntimeError) -> None:
        """Go on without the clips that DALI could not decode, or raise an error that names their video."""
        for read in self._planned:
            rows = self._undecodable(read.clips)
            for row in rows:
                what = damaged(self._store, int(read.clips.video[row]), "DALI cannot decode it")
                if self._tolerance is None:
                    raise FastrotError(what) from None
                self._tolerance.note(int(read.clips.sample[row]), what)
            if rows:
                self._rebuild()
                gc.collect()  # see __exit__
                return
        raise FastrotError(
            f"DALI failed on clips of {self._store.path}, though it decodes each alone: {error}"
        ) from None

    def _undecodable(self, clips: Clips) -> list[int]:
        """Return the rows that DALI cannot decode. It does not say, so each clip is tried alone."""
        rows = []
        for row in range(len(clips)):
            alone = Loader(
                self._store,
                _Fixed(self._spec, clips),
                [(row, 1)],
                batch=1,
                device=self._device,
                threads=1,
                prefetch=1,
                check=self._check,
            )
            try:
                alone._pipeline.run()
            except UnreadableError:
                raise
            except (RuntimeError, FastrotError):
                rows.append(row)
            finally:
                alone.close()
        return rows

    def _feed(self, _: Any) -> tuple[Any, ...]:
        read = next(self._reader)
        self._planned.append(read)
        fed = arrays(read, self._store, self._spec, gpu=self._gpu)
        self._lent.append(fed)
        return fed

    def close(self) -> None:
        """Stop the threads and free DALI's memory."""
        self._reader.close()
        if self._finishers is not None:
            self._finishers.shutdown()
        self._handover.close()
        self._pipeline = None

    def __enter__(self) -> "Loader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        # DALI's pipeline refers to itself: its threads and handles would stay until Python looks for cycles.
        gc.collect()


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
