"""The DALI graph: decode, and on a GPU also crop, flip and frame difference.

On a CPU those are left to ``cpu_ops``, which is several times faster than DALI's operators there; but for
the reader of unprepared videos, where decoding is nearly all of the work.
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


def build_pipeline(
    feed: Callable[..., Any],
    codec: str,
    spec: ClipSpec,
    *,
    batch: int,
    device: torch.device,
    options: LoaderOptions,
) -> Any:
    """Return a built DALI pipeline whose one output is a batch of clips.

    On a GPU the output is (B, T, crop, crop, 3); for mjpeg it is (B*T', crop, crop, 3), for DIF with a
    meaningless difference at each clip's last frame. On a CPU it is what was decoded: (B, T', size, size, 3),
    and (B*T', crop, crop, 3) for mjpeg.

    Args:
        feed: The callback of an external source, called once a batch, which returns ``fed_arrays``;
            StopIteration ends the data.
        codec: A key of ``codecs.CODECS``; raw is for GPUs only, as on a CPU DALI has nothing to do.
        spec: The clips' shape and modality.
        batch: The most clips in a batch.
        device: Where operators run.
        options: Threads, prefetch and the hardware decoder's share.

    Raises:
        FastrotError: DALI is not installed.
        UsageError: The codec is not decoded on a CPU.
    """
    gpu = device.type == "cuda"
    if not gpu and not CODECS[codec].on_cpu:
        raise UsageError(
            f"the store's codec is {codec}, which DALI decodes only on a GPU, and there is none here: "
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
    """Return what ``build_pipeline``'s graph is fed for a batch whose bytes, ``data``, were read.

    - ``raw``: (frames, flip), a (B, T', crop, crop, 3) uint8 array and (B,) int32.
    - ``h264``, ``vp9``: (files, numbers), B whole files and (B, T') int32 frame numbers; on a GPU also
      (corner, flip), (B, 2) int32 top left corners (y, x), and (B,) int32.
    - ``mjpeg``: (packets, y, x), an item a frame: B*T' JPEGs and crop positions as fractions of the
      margin; on a GPU also flips, and for DIF the number of the frame that follows in the clip.
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
    """Give a DALI pipeline to define a graph in, and build it at the end.

    Without a GPU the graph of one can be defined, but not built.

    Raises:
        FastrotError: DALI is not installed.
    """
    gpu = device.type == "cuda"
    here = not gpu or torch.cuda.is_available()
    pipeline = import_dali().Pipeline(
        batch_size=batch,
        num_threads=options.threads,
        device_id=(device.index or 0) if gpu and here else None,
        exec_dynamic=True,  # its outputs are views that stay valid while held
        prefetch_queue_depth=options.prefetch,
        **more,
    )
    with pipeline:
        yield pipeline
    if here:
        pipeline.build()


def _raw_clips(feed: Callable[..., Any], spec: ClipSpec, gpu: bool) -> Any:
    from nvidia.dali import fn

    assert gpu, "raw clips on a CPU come finished from their source"
    frames, flip = fn.external_source(
        source=feed,
        num_outputs=2,
        batch=True,
        batch_info=True,  # makes the position part of DALI's own bookkeeping
        no_copy=True,  # the loader keeps what it feeds alive until the pipeline is past it
        layout=["FHWC", ""],
    )
    return _flip_and_difference(frames.gpu(), flip, spec)


def _video_clips(feed: Callable[..., Any], spec: ClipSpec, gpu: bool) -> Any:
    from nvidia.dali import fn

    # An output that nothing reads is not only a waste: DALI 2.4 crashes on it.
    files, numbers, *where = fn.external_source(
        source=feed, num_outputs=4 if gpu else 2, batch=True, batch_info=True, no_copy=True
    )
    frames = fn.decoders.video(
        files,
        device="mixed" if gpu else "cpu",
        frames=numbers,
        pad_mode="none",  # a frame beyond the end is an error, not a black picture
    )
    return augment(frames, where[0], where[1], spec) if gpu else frames


def augment(frames: Any, corner: Any, flip: Any, spec: ClipSpec) -> Any:
    """Crop and flip whole sequences (FHWC), and take differences of successive frames for DIF."""
    from nvidia.dali import fn

    crop = fn.slice(frames, start=corner, shape=(spec.crop, spec.crop), axes=(1, 2))
    return _flip_and_difference(crop, flip, spec)


def _flip_and_difference(frames: Any, flip: Any, spec: ClipSpec) -> Any:
    from nvidia.dali import fn, types

    clips = fn.flip(frames, horizontal=flip)
    if spec.modality == "rgb":
        return clips
    signed = fn.cast(clips, dtype=types.DALIDataType.INT16)  # uint8 minus uint8 would wrap
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
    """Return the package ``nvidia.dali``, with ``fn`` and ``types``; FastrotError if it is not installed."""
    try:
        from nvidia import dali
        from nvidia.dali import fn, types  # noqa: F401  # makes dali.fn and dali.types
    except ImportError as error:
        raise FastrotError(
            f"NVIDIA DALI cannot be imported ({error}): pip install nvidia-dali-cuda120 "
            "(driver for CUDA 12) or nvidia-dali-cuda130 (CUDA 13)"
        ) from None
    return dali
