"""The DALI graph: decode, and on a GPU also crop, flip and frame difference.

On a CPU those are left to ``cpu_ops``, which is several times faster than DALI's operators there; but for
the reader of unprepared videos, where decoding is nearly all of the work.
"""

from collections.abc import Callable, Sequence
from typing import Any

from pipelines.errors import FastrotError, UsageError
from pipelines.plan import ClipSpec
from pipelines.store.codecs import CODECS


def build_pipeline(
    feed: Callable[..., Any],
    *,
    codec: str,
    spec: ClipSpec,
    batch: int,
    threads: int,
    prefetch: int,
    gpu: bool,
    device_id: int | None,
    hw_decoder_load: float = 0.65,
) -> Any:
    """Return a built DALI pipeline whose one output is a batch of clips.

    ``feed`` is the callback of an external source; what it returns for a batch depends on the codec:

    - ``raw``: (frames, flip), a (B, T', crop, crop, 3) uint8 array and (B,) int32. GPU only: on a CPU
      there is nothing to do for DALI.
    - ``h264``, ``vp9``: (files, numbers), B whole files and (B, T') int32 frame numbers; on a GPU also
      (corner, flip), (B, 2) int32 top left corners (y, x), and (B,) int32.
    - ``mjpeg``: (packets, y, x), an item a frame: B*T' JPEGs and crop positions as fractions of the
      margin; on a GPU also flips, and for DIF the number of the frame that follows in the clip.

    On a GPU the output is (B, T, crop, crop, 3); for mjpeg it is (B*T', crop, crop, 3), for DIF with a
    meaningless difference at each clip's last frame. On a CPU it is what was decoded: (B, T', size, size, 3),
    and (B*T', crop, crop, 3) for mjpeg.

    Args:
        feed: called once a batch; StopIteration ends the data.
        codec: a key of ``codecs.CODECS``.
        spec: the clips' shape and modality.
        batch: the most clips in a batch.
        threads: DALI's CPU threads.
        prefetch: batches that DALI prepares before they are asked for.
        gpu: whether operators run on the GPU.
        device_id: the GPU; None builds without one (the graph of a GPU can be built so, but not run).
        hw_decoder_load: share of the JPEGs that a GPU's hardware decoder takes, where there is one.

    Raises:
        FastrotError: DALI is not installed.
        UsageError: the codec is not decoded on a CPU.
    """
    if not gpu and not CODECS[codec].on_cpu:
        raise UsageError(
            f"the store's codec is {codec}, which DALI decodes only on a GPU, and there is none here: "
            "prepare the videos again with `fastrot prepare ... --codec mjpeg` (or raw, or vp9)"
        )
    dali = import_dali()
    samples = batch * (spec.decoded_frames if codec == "mjpeg" else 1)
    pipeline = dali.Pipeline(
        batch_size=samples,
        num_threads=threads,
        device_id=device_id,
        exec_dynamic=True,  # its outputs are views that stay valid while held
        prefetch_queue_depth=prefetch,
    )
    with pipeline:
        if codec == "raw":
            output = _raw_clips(feed, spec, gpu)
        elif codec == "mjpeg":
            output = _mjpeg_frames(feed, spec, gpu, hw_decoder_load)
        else:
            output = _video_clips(feed, spec, gpu)
        pipeline.set_outputs(output)
    if device_id is not None or not gpu:
        pipeline.build()
    return pipeline


def build_reader_pipeline(
    feed: Callable[..., Any],
    files: Sequence[str],
    *,
    spec: ClipSpec,
    size: int,
    step: int,
    seed: int,
    rank: int,
    world: int,
    batch: int,
    threads: int,
    prefetch: int,
    gpu: bool,
    device_id: int | None,
    position: bytes = b"",
) -> Any:
    """Return a built DALI pipeline over every window of unprepared videos, endless and shuffled.

    Its outputs are the clips, (B, T, crop, crop, 3), and the number of each one's file, (B, 1) int32.
    ``feed`` returns (corner, flip) as for ``raw``.

    Args:
        feed: called once a batch.
        files: paths; of codecs that DALI decodes on the device (on a CPU: VP8, VP9 and MJPEG).
        spec: the clips' shape and modality.
        size: side in pixels to which frames are stretched before the crop.
        step: frames from one window's start to the next one's.
        seed: of the order.
        rank: which of ``world`` parts of the windows to read.
        world: parts.
        batch: clips in a batch.
        threads: DALI's CPU threads.
        prefetch: batches that DALI prepares before they are asked for.
        gpu: whether operators run on the GPU.
        device_id: the GPU, as for ``build_pipeline``.
        position: where to go on: what ``checkpoint`` of such a pipeline returned.

    Raises:
        FastrotError: DALI is not installed.
    """
    dali = import_dali()
    from nvidia.dali import fn, types

    pipeline = dali.Pipeline(
        batch_size=batch,
        num_threads=threads,
        device_id=device_id,
        exec_dynamic=True,
        prefetch_queue_depth=prefetch,
        seed=seed,
        enable_checkpointing=True,
        **({"checkpoint": position} if position else {}),
    )
    with pipeline:
        windows: Any = fn.experimental.readers.video(
            device="gpu" if gpu else "cpu",
            filenames=list(files),
            labels=list(range(len(files))),
            sequence_length=spec.decoded_frames,
            stride=spec.stride,
            step=step,
            random_shuffle=True,
            initial_fill=1024,
            shard_id=rank,
            num_shards=world,
            pad_mode="none",
            name="reader",
        )
        frames, file = windows
        corner, flip = fn.external_source(source=feed, num_outputs=2, batch=True, batch_info=True)
        square = fn.resize(
            frames,
            size=(size, size),
            interp_type=types.DALIInterpType.INTERP_LINEAR,
            antialias=True,
        )
        pipeline.set_outputs(_augment(square, corner, flip, spec), file)
    if device_id is not None or not gpu:
        pipeline.build()
    return pipeline


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
    return _augment(frames, where[0], where[1], spec) if gpu else frames


def _augment(frames: Any, corner: Any, flip: Any, spec: ClipSpec) -> Any:
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
