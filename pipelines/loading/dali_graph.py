"""The DALI graph: decoding, and on a GPU also crop, resize, flip and frame difference.

On a CPU DALI decodes stores of mjpeg only, and ``cpu_ops`` does the rest several times faster than DALI's
operators. The reader of unprepared videos uses DALI for them on a CPU too, because decoding takes nearly all
of its time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.errors import FastrotError
from pipelines.loading.options import LoaderOptions
from pipelines.plan import Clips, ClipSpec
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
    each DIF clip's last frame is meaningless. On a CPU it is the decoded frames, (B*T', crop, crop, 3); with
    regions, whole frames.

    Args:
        feed: Callback of an external source, called once per batch. It returns ``fed_arrays``, and raises
            StopIteration at the end of the data.
        codec: A key of ``codecs.CODECS``; on a CPU only mjpeg.
        spec: The clips' shape and modality.
        batch: The maximum number of clips in a batch.
        device: The device on which operators run.
        options: Threads, prefetch and the hardware decoder's share.

    Raises:
        FastrotError: DALI is not installed.
    """
    gpu = device.type == "cuda"
    assert gpu or codec == "mjpeg", f"on a CPU the source finishes {codec} clips itself"
    samples = batch * (spec.decoded_frames if codec == "mjpeg" else 1)
    with new_pipeline(samples, device, options) as pipeline:
        if codec == "raw":
            output = _raw_clips(feed, spec)
        elif codec == "mjpeg":
            output = _mjpeg_frames(feed, spec, gpu, options.hw_decoder_load)
        else:
            output = _video_clips(feed, spec)
        pipeline.set_outputs(output)
    return pipeline


def fed_arrays(
    clips: Clips, data: Any, store: Store, spec: ClipSpec, *, gpu: bool
) -> tuple[Any, ...]:
    """Return the inputs of ``build_pipeline``'s graph for a batch with the bytes ``data``.

    - ``raw``: (frames, flip), a (B, T', crop, crop, 3) uint8 array and (B,) int32; with regions, B arrays
      (T', height, width, 3).
    - ``h264``, ``vp9``: (files, numbers, corner, shape, flip), B MP4 files, (B, T') int32 frame numbers in
      them, (B, 2) int32 top left corners (y, x), (B, 2) int32 (height, width), and (B,) int32.
    - ``mjpeg``: (packets, y, x, height, width), one item per frame: B*T' JPEGs, crop positions as fractions
      of the margin, and float32 sizes; on a GPU also flips, and for DIF the index of the next frame in the
      clip.
    """
    flip = clips.flip.astype(np.int32)
    if store.codec == "raw":
        return data, flip
    if store.codec != "mjpeg":
        corners = np.stack([clips.y, clips.x], axis=1).astype(np.int32)
        shapes = np.stack([clips.height, clips.width], axis=1).astype(np.int32)
        return data.files, data.numbers, corners, shapes, flip
    each = spec.decoded_frames
    crops: list[Any] = [_share(clips.y, store.size - clips.height)]
    crops += [_share(clips.x, store.size - clips.width), clips.height, clips.width]
    if (
        spec.regions and not gpu
    ):  # the finishers cut the regions out of whole frames of equal shapes
        whole = np.full(len(clips), store.size)
        crops = [np.zeros(len(clips)), np.zeros(len(clips)), whole, whole]
    fed = [data, *(np.repeat(values.astype(np.float32), each) for values in crops)]
    if gpu:
        fed.append(np.repeat(flip, each))
    if gpu and spec.modality == "dif":
        last = len(data) - 1
        fed.append(np.minimum(np.arange(1, last + 2, dtype=np.int32), last))
    return tuple(fed)


def _share(at: NDArray[np.int64], margin: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return positions as fractions of the margin; without a margin every position is 0."""
    return at / np.maximum(margin, 1)


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


def _raw_clips(feed: Callable[..., Any], spec: ClipSpec) -> Any:
    from nvidia.dali import fn

    frames, flip = fn.external_source(
        source=feed,
        num_outputs=2,
        batch=True,
        batch_info=True,  # lets DALI track the position
        no_copy=True,  # the loader keeps the arrays alive until the pipeline has used them
        layout=["FHWC", ""],
    )
    return _flip_and_difference(resize(frames.gpu(), spec), flip, spec)


def _video_clips(feed: Callable[..., Any], spec: ClipSpec) -> Any:
    from nvidia.dali import fn

    files, numbers, corner, shape, flip = fn.external_source(
        source=feed, num_outputs=5, batch=True, batch_info=True, no_copy=True
    )
    frames = fn.decoders.video(
        files,
        device="mixed",
        frames=numbers,
        pad_mode="none",  # a frame beyond the end is an error, not a black frame
    )
    return augment(frames, corner, shape, flip, spec)


def augment(frames: Any, corner: Any, shape: Any, flip: Any, spec: ClipSpec) -> Any:
    """Crop, resize and flip sequences (FHWC), and for DIF compute differences of successive frames."""
    from nvidia.dali import fn

    crop = fn.slice(frames, start=corner, shape=shape, axes=(1, 2))
    return _flip_and_difference(resize(crop, spec), flip, spec)


def resize(regions: Any, spec: ClipSpec) -> Any:
    """Resize regions to the crop, as ``cpu_ops.resized`` does; without ``spec.regions`` do nothing."""
    from nvidia.dali import fn, types

    if not spec.regions:
        return regions
    # The regions were cut out: roi_start and roi_end would also use the pixels around a region.
    return fn.resize(
        regions,
        size=(spec.crop, spec.crop),
        interp_type=types.DALIInterpType.INTERP_LINEAR,
        antialias=True,
    )


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
    fed = 5 + gpu + (gpu and dif)
    packets, y, x, height, width, *rest = fn.external_source(
        source=feed, num_outputs=fed, batch=True, batch_info=True, no_copy=True
    )
    frames = fn.decoders.image_crop(
        packets,
        device="mixed" if gpu else "cpu",
        crop_h=height,
        crop_w=width,
        crop_pos_y=y,
        crop_pos_x=x,
        hw_decoder_load=hw_decoder_load,
        device_memory_padding=_PADDING,
        host_memory_padding=_PADDING,
        output_type=types.DALIImageType.RGB,
    )
    if not gpu:
        return frames
    frames = fn.flip(resize(frames, spec), horizontal=rest[0])
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
