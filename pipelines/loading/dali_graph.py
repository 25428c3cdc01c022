"""The DALI graph: decoding, and on a GPU also crop, flip and frame difference.

On a CPU, ``cpu_ops`` does the latter several times faster than DALI's operators. The reader of unprepared
videos uses DALI for them on a CPU too, because decoding takes nearly all of its time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from pipelines.errors import FastrotError, UsageError
from pipelines.loading.options import LoaderOptions
from pipelines.plan import Clips, ClipSpec, frame_numbers
from pipelines.store.codecs import CODECS
from pipelines.store.reading import Store

_PADDING = 1 << 20
"""Bytes of device and pinned memory for each thread that decodes JPEGs: a frame of a store fits many times.

DALI's own are 16 and 8 MiB, for large photographs.
"""


def build_pipeline(
    feed: Callable[..., Any],
    codec: str,
    spec: ClipSpec,
    *,
    batch: int,
    device: torch.device,
    options: LoaderOptions,
) -> Any:
    """Return a built DALI pipeline with one output, a batch of clips.

    On a GPU the output is (B, T, crop, crop, 3), or for mjpeg (B*T', crop, crop, 3), where the difference at
    each DIF clip's last frame is meaningless. On a CPU it is the decoded frames: (B, T', size, size, 3), or
    (B*T', crop, crop, 3) for mjpeg.

    Args:
        feed: Callback of an external source, called once per batch. It returns ``fed_arrays``, and raises
            StopIteration at the end of the data.
        codec: A key of ``codecs.CODECS``. Raw is for GPUs only: on a CPU it needs no DALI operators.
        spec: The clips' shape and modality.
        batch: The maximum number of clips in a batch.
        device: The device on which operators run.
        options: Threads, prefetch and the hardware decoder's share.

    Raises:
        FastrotError: DALI is not installed.
        UsageError: The codec cannot be decoded on a CPU.
    """
    gpu = device.type == "cuda"
    if not gpu and not CODECS[codec].on_cpu:
        raise UsageError(
            f"the store's codec is {codec}, which DALI decodes only on a GPU, and no GPU is available: "
            "prepare the videos again with `fastrot prepare ... --codec mjpeg` (or raw, or vp9)"
        )
    samples = batch * (spec.decoded_frames if codec == "mjpeg" else 1)
    with new_pipeline(samples, device, options) as pipeline:
        if codec == "raw":
            output = _raw_clips(feed, spec, gpu)
        elif codec == "mjpeg":
            output = _mjpeg_frames(feed, spec, gpu, options.hw_decoder_load)
        else:
            output = _video_clips(feed, spec, gpu)
        pipeline.set_outputs(output)
    return pipeline


def fed_arrays(
    clips: Clips, data: Any, store: Store, spec: ClipSpec, *, gpu: bool
) -> tuple[Any, ...]:
    """Return the inputs of ``build_pipeline``'s graph for a batch with the bytes ``data``.

    - ``raw``: (frames, flip), a (B, T', crop, crop, 3) uint8 array and (B,) int32.
    - ``h264``, ``vp9``: (files, numbers), B whole files and (B, T') int32 frame numbers; on a GPU also
      (corner, flip), (B, 2) int32 top left corners (y, x), and (B,) int32.
    - ``mjpeg``: (packets, y, x), one item per frame: B*T' JPEGs and crop positions as fractions of the
      margin; on a GPU also flips, and for DIF the index of the next frame in the clip.
    """
    flip = clips.flip.astype(np.int32)
    if store.codec == "raw":
        return data, flip
    if store.codec != "mjpeg":
        numbers = frame_numbers(clips, spec, store.frames).astype(np.int32)
        corners = np.stack([clips.y, clips.x], axis=1).astype(np.int32)
        return (data, numbers, corners, flip) if gpu else (data, numbers)
    each = spec.decoded_frames
    margin = max(store.size - spec.crop, 1)  # without a margin every position is 0
    fed = [data, *(np.repeat((at / margin).astype(np.float32), each) for at in (clips.y, clips.x))]
    if gpu:
        fed.append(np.repeat(flip, each))
    if gpu and spec.modality == "dif":
        last = len(data) - 1
        fed.append(np.minimum(np.arange(1, last + 2, dtype=np.int32), last))
    return tuple(fed)


@contextmanager
def new_pipeline(
    batch: int, device: torch.device, options: LoaderOptions, **more: Any
) -> Iterator[Any]:
    """Yield a DALI pipeline in which to define a graph, then build it.

    On a machine without a GPU, a graph for a GPU is defined but not built.

    Raises:
        FastrotError: DALI is not installed.
    """
    gpu = device.type == "cuda"
    here = not gpu or torch.cuda.is_available()
    pipeline = import_dali().Pipeline(
        batch_size=batch,
        num_threads=options.threads,
        device_id=(device.index or 0) if gpu and here else None,
        exec_dynamic=True,  # its outputs are views that stay valid while referenced
        prefetch_queue_depth=options.prefetch,
        **more,
    )
    with pipeline:
        yield pipeline
    if here:
        pipeline.build()


def _raw_clips(feed: Callable[..., Any], spec: ClipSpec, gpu: bool) -> Any:
    from nvidia.dali import fn

    assert gpu, "on a CPU the source finishes raw clips itself"
    frames, flip = fn.external_source(
        source=feed,
        num_outputs=2,
        batch=True,
        batch_info=True,  # lets DALI track the position
        no_copy=True,  # the loader keeps the arrays alive until the pipeline has used them
        layout=["FHWC", ""],
    )
    return _flip_and_difference(frames.gpu(), flip, spec)


def _video_clips(feed: Callable[..., Any], spec: ClipSpec, gpu: bool) -> Any:
    from nvidia.dali import fn

    # DALI 2.4 crashes on an unused output.
    files, numbers, *where = fn.external_source(
        source=feed, num_outputs=4 if gpu else 2, batch=True, batch_info=True, no_copy=True
    )
    frames = fn.decoders.video(
        files,
        device="mixed" if gpu else "cpu",
        frames=numbers,
        pad_mode="none",  # a frame beyond the end is an error, not a black frame
    )
    return augment(frames, where[0], where[1], spec) if gpu else frames


def augment(frames: Any, corner: Any, flip: Any, spec: ClipSpec) -> Any:
    """Crop and flip sequences (FHWC), and for DIF compute differences of successive frames."""
    from nvidia.dali import fn

    crop = fn.slice(frames, start=corner, shape=(spec.crop, spec.crop), axes=(1, 2))
    return _flip_and_difference(crop, flip, spec)


def _flip_and_difference(frames: Any, flip: Any, spec: ClipSpec) -> Any:
    from nvidia.dali import fn, types

    clips = fn.flip(frames, horizontal=flip)
    if spec.modality == "rgb":
        return clips
    signed = fn.cast(clips, dtype=types.DALIDataType.INT16)  # uint8 minus uint8 would wrap around
    return signed[1:] - signed[:-1]


def _mjpeg_frames(
    feed: Callable[..., Any], spec: ClipSpec, gpu: bool, hw_decoder_load: float
) -> Any:
    from nvidia.dali import fn, types

    dif = spec.modality == "dif"
    fed = 3 + gpu + (gpu and dif)
    packets, y, x, *rest = fn.external_source(
        source=feed, num_outputs=fed, batch=True, batch_info=True, no_copy=True
    )
    frames = fn.decoders.image_crop(
        packets,
        device="mixed" if gpu else "cpu",
        crop=(spec.crop, spec.crop),
        crop_pos_y=y,
        crop_pos_x=x,
        hw_decoder_load=hw_decoder_load,
        device_memory_padding=_PADDING,
        host_memory_padding=_PADDING,
        output_type=types.DALIImageType.RGB,
    )
    if not gpu:
        return frames
    frames = fn.flip(frames, horizontal=rest[0])
    if not dif:
        return frames
    signed = fn.cast(frames, dtype=types.DALIDataType.INT16)
    return fn.permute_batch(signed, indices=rest[1]) - signed


def import_dali() -> Any:
    """Return the package ``nvidia.dali`` with ``fn`` and ``types`` loaded.

    Raises:
        FastrotError: DALI is not installed.
    """
    try:
        from nvidia import dali
        from nvidia.dali import fn, types  # noqa: F401  # makes dali.fn and dali.types
    except ImportError as error:
        raise FastrotError(
            f"NVIDIA DALI cannot be imported ({error}): pip install nvidia-dali-cuda120 "
            "(driver for CUDA 12) or nvidia-dali-cuda130 (CUDA 13)"
        ) from None
    return dali
