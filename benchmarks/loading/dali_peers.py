"""Peers built from DALI's own readers, without a store."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness.measure import NotHere
from pipelines.loading.dali_graph import import_dali
from pipelines.plan import Clips, Plan


def numpy_reader(
    files: dict[int, Path], plan: Plan, ranges: Sequence[tuple[int, int]], threads: int
) -> Iterator[torch.Tensor]:
    """Yield batches of a plan by ``readers.numpy`` with a region of interest, (B, T, crop, crop, 3) uint8.

    The reader follows the order of its file list, so the list follows the plan: one file per clip.
    All batches have the same size.
    """
    dali = import_dali()
    fn = dali.fn
    planned = [plan.clips(*one) for one in ranges]
    fed = iter(planned)
    spec = plan.spec

    def feed() -> tuple[Any, ...]:
        clips = next(fed)
        start = np.stack([clips.start, clips.y, clips.x], axis=1).astype(np.int32)
        return start, clips.flip.astype(np.int32)

    gpu = torch.cuda.is_available()
    pipeline = dali.Pipeline(
        batch_size=ranges[0][1],
        num_threads=threads,
        device_id=0 if gpu else None,
        exec_dynamic=True,
        prefetch_queue_depth=2,
    )
    with pipeline:
        start, flip = fn.external_source(source=feed, num_outputs=2, batch=True)
        clips = fn.readers.numpy(
            files=[str(files[video]) for video in _videos(planned)],
            roi_start=start,
            roi_shape=[spec.frames, spec.crop, spec.crop],
            roi_axes=[0, 1, 2],
            random_shuffle=False,
            cache_header_information=True,
        )
        clips = fn.reshape(clips, layout="FHWC")
        pipeline.set_outputs(fn.flip(clips.gpu() if gpu else clips, horizontal=flip))
    pipeline.build()
    yield from _batches(pipeline, len(ranges))


def video_reader(
    files: Sequence[Path], plan: Plan, batch: int, steps: int, threads: int, *, size: int
) -> Iterator[torch.Tensor]:
    """Yield batches by ``readers.video`` on a GPU: shuffled windows, random crop and flip.

    DALI chooses the windows (one every 8 frames), so its clips are similar to the plan's but not the same.

    Raises:
        NotHere: There is no GPU.
    """
    if not torch.cuda.is_available():
        raise NotHere("DALI's readers.video needs a GPU (it decodes with NVDEC)")
    dali = import_dali()
    fn = dali.fn
    spec = plan.spec
    pipeline = dali.Pipeline(
        batch_size=batch,
        num_threads=threads,
        device_id=0,
        exec_dynamic=True,
        prefetch_queue_depth=2,
        seed=0,
    )
    margin, integer = max(size - spec.crop, 0), dali.types.DALIDataType.INT32
    with pipeline:
        frames = fn.readers.video(
            device="gpu",
            filenames=[str(file) for file in files],
            sequence_length=spec.frames,
            step=8,
            random_shuffle=True,
            initial_fill=4 * batch,
        )
        y, x = (
            fn.cast(fn.random.uniform(range=(0, margin + 0.99)) - 0.5, dtype=integer) for _ in "yx"
        )
        crop = fn.slice(frames, start=fn.stack(y, x), shape=(spec.crop, spec.crop), axes=(1, 2))
        pipeline.set_outputs(fn.flip(crop, horizontal=fn.random.coin_flip()))
    pipeline.build()
    yield from _batches(pipeline, steps)


def _videos(planned: Sequence[Clips]) -> list[int]:
    return [int(video) for clips in planned for video in clips.video]


def _batches(pipeline: Any, count: int) -> Iterator[torch.Tensor]:
    for _ in range(count):
        (output,) = pipeline.run()
        yield torch.utils.dlpack.from_dlpack(output.as_tensor())
