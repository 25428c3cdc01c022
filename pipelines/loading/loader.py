"""The loader: iterates over batches of clips as torch tensors.

DALI decodes JPEGs, and on a GPU it decodes and augments clips of every codec. On a CPU the reader's threads
finish clips of raw, h264 and vp9 themselves.
"""

import gc
import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import torch

from pipelines.errors import FastrotError, UnreadableError
from pipelines.loading.batches import Batch, BatchLoader, LoaderStats
from pipelines.loading.clip_reader import ClipReader, ReadBatch
from pipelines.loading.cpu_ops import finish_batch
from pipelines.loading.dali_graph import build_pipeline, fed_arrays
from pipelines.loading.handover import Handover
from pipelines.loading.options import DEFAULTS, LoaderOptions
from pipelines.loading.replacement import Replaced, Tolerance
from pipelines.loading.sources import make_source
from pipelines.loading.threads import serial_threads
from pipelines.plan import Clips, ClipSpec, Plan, frame_numbers
from pipelines.store.reading import Store
from pipelines.store.stored_frames import damaged


class Loader(BatchLoader):
    """Iterates over the batches of ``ranges`` (see ``plan.train_ranges``) in order. A context manager.

    Args:
        store: The store that contains the clips.
        plan: Maps samples to clips.
        ranges: (first sample, count) of each batch.
        batch: The maximum number of clips in a batch.
        device: The device of the tensors. A CUDA device runs DALI's GPU operators.
        options: Threads, prefetch and checks.
        tolerance: How many unreadable clips may be replaced by the plan's next ones. With None, any
            unreadable clip is an error.

    Attributes:
        stats: The loader's statistics so far.
        rebuilds: How often DALI's pipeline was rebuilt after a clip that it could not decode.

    Raises:
        FastrotError: DALI is not installed. While iterating: a clip, or too many clips, cannot be read.
    """

    def __init__(
        self,
        store: Store,
        plan: Plan,
        ranges: Iterable[tuple[int, int]],
        *,
        batch: int,
        device: torch.device,
        options: LoaderOptions = DEFAULTS,
        tolerance: Tolerance | None = None,
    ):
        self._store, self._plan, self._spec = store, plan, plan.spec
        self._batch, self._device, self._options = batch, device, options
        self._gpu = device.type == "cuda"
        self._tolerance = tolerance
        # Batches read and passed to DALI, ranges whose batches were not delivered yet, and ranges to repeat.
        self._planned: deque[ReadBatch] = deque()
        self._open: deque[tuple[int, int]] = deque()
        self._again: deque[tuple[int, int]] = deque()
        self._ranges = iter(ranges)
        self._replaced: list[Replaced] = []
        self._handover = Handover(device)
        # DALI reads these arrays without a copy, so they must stay alive until it has read them.
        self._lent: deque[Any] = deque(maxlen=options.prefetch + 2)
        self._pipeline: Any = None
        self._finishers: ThreadPoolExecutor | None = None
        self._bytes_before = 0
        self.rebuilds = 0
        self.stats = LoaderStats()
        self._start()

    def _start(self) -> None:
        """Create the reader and DALI's pipeline, starting at the first undelivered batch."""
        options = self._options
        # On a CPU the reader's threads finish clips of every codec except mjpeg, which DALI decodes faster.
        raw = self._store.codec == "raw"
        finished = not self._gpu and self._store.codec != "mjpeg"
        self._reader = ClipReader(
            self._store,
            self._plan,
            self._take_ranges(),
            batch=self._batch,
            options=options
            if raw or finished
            else replace(options, threads=min(options.threads, 4)),
            tolerance=self._tolerance,
            finished=finished,
        )
        if finished:
            return
        try:
            if not self._gpu:
                # Separate from the reader's threads, where this work would wait behind disk reads.
                self._finishers = serial_threads(options.threads, "fastrot-finish")
            self._pipeline = build_pipeline(
                self._feed,
                self._store.codec,
                self._spec,
                batch=self._batch,
                device=self._device,
                options=options,
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
        """Restart at the first undelivered batch, because a failed pipeline cannot continue."""
        self.rebuilds += 1
        self._bytes_before += self._reader.bytes_read
        self.close()
        self._planned.clear()
        self._again = deque([*self._open, *self._again])
        self._open.clear()
        self._start()

    def __next__(self) -> Batch:
        with self.stats.delivery():
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
        self.stats.clips += len(planned)
        self.stats.bytes_read = self._bytes_before + self._reader.bytes_read
        self.stats.queue_depth = self._reader.queue_depth
        labels = torch.from_numpy(self._store.labels[planned.video])
        return Batch(
            clips=clips,
            labels=labels.to(self._device, non_blocking=True),
            videos=planned.video,
            samples=planned.sample,
            speeds=planned.speed,
        )

    def _decoded(self) -> tuple[ReadBatch, torch.Tensor]:
        while True:
            try:
                (output,) = self._pipeline.run()
                break
            except RuntimeError as error:
                self._drop_undecodable(error)
        tensor = self._handover.take(output)
        read = self._planned.popleft()
        spec, count = self._spec, len(read.clips)
        if self._finishers is not None:
            frames = tensor.view(count, spec.decoded_frames, *tensor.shape[-3:]).numpy()
            return read, torch.from_numpy(finish_batch(frames, read.clips, spec, self._finishers))
        # DIF clips of mjpeg have a meaningless difference at the end.
        given = spec.decoded_frames if self._store.codec == "mjpeg" else spec.frames
        shape = (count, given, spec.crop, spec.crop, 3)
        assert tensor.numel() == math.prod(shape), (
            f"DALI returned shape {tuple(tensor.shape)}, expected {shape}"
        )
        return read, tensor.view(shape)[:, : spec.frames]

    def take_replaced(self) -> list[Replaced]:
        """Return the clips replaced in the batches delivered since the last call."""
        taken, self._replaced = self._replaced, []
        return taken

    def _drop_undecodable(self, error: RuntimeError) -> None:
        """Restart without the clips that DALI cannot decode, or raise an error that names their video."""
        for read in self._planned:
            rows = _undecodable(self._store, self._spec, read.clips, self._device, self._options)
            for row in rows:
                what = damaged(self._store, int(read.clips.video[row]), "DALI cannot decode it")
                if self._tolerance is None:
                    raise FastrotError(what) from None
                self._tolerance.note(int(read.clips.sample[row]), what)
            if rows:
                self._rebuild()
                return
        raise FastrotError(
            f"DALI failed on a batch of {self._store.path}, but can decode each clip on its own: {error}. "
            "Resume the run; if it fails again, use a smaller batch."
        ) from None

    def _feed(self, _: Any) -> tuple[Any, ...]:
        read = next(self._reader)
        self._planned.append(read)
        fed = fed_arrays(read.clips, read.data, self._store, self._spec, gpu=self._gpu)
        self._lent.append(fed)
        return fed

    def close(self) -> None:
        """Stop the threads and free DALI's memory."""
        self._reader.close()
        if self._finishers is not None:
            self._finishers.shutdown()
        self._handover.close()
        if self._pipeline is not None:
            self._pipeline = None
            gc.collect()  # breaks its reference cycle, which keeps threads and handles alive


def _undecodable(
    store: Store, spec: ClipSpec, clips: Clips, device: torch.device, options: LoaderOptions
) -> list[int]:
    """Return the rows of clips that DALI cannot decode. It does not report them, so each is tried alone."""
    rows = []
    for row in range(len(clips)):
        clip = Clips(**{name: column[row : row + 1] for name, column in vars(clips).items()})
        try:
            _decode_alone(store, spec, clip, device, options)
        except UnreadableError:
            raise
        except (RuntimeError, FastrotError):
            rows.append(row)
    return rows


def _decode_alone(
    store: Store, spec: ClipSpec, clip: Clips, device: torch.device, options: LoaderOptions
) -> None:
    """Read and decode one clip in its own pipeline, which raises an error if that fails."""
    source = make_source(store, spec, batch=1, buffers=1, check=options.check)
    data = source.buffer(1)
    source.read(data, clip, 0, frame_numbers(clip, spec, store.frames)[0])
    fed = fed_arrays(clip, data, store, spec, gpu=device.type == "cuda")
    alone = replace(options, threads=1, prefetch=1)
    build_pipeline(lambda _: fed, store.codec, spec, batch=1, device=device, options=alone).run()
