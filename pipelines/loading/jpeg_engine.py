"""Compares a GPU's hardware JPEG decoder with the CPU's, before anything is learned from its pixels."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.errors import FastrotError
from pipelines.loading.dali_graph import build_pipeline
from pipelines.loading.options import LoaderOptions
from pipelines.plan import ClipSpec
from pipelines.store.reading import Store
from pipelines.store.shard_files import Bytes, ShardFiles
from pipelines.store.stored_frames import read_packets

MOST_DIFFERENCE = 3.0
"""Mean absolute difference in levels of 255 above which a frame is decoded wrongly."""

COMPARED = 8
"""Frames that are compared, each of another video: a store can have JPEGs of several encoders."""

CROP = 112
"""The paper's crop in pixels, of frames of ``SAMPLE_SIZE`` pixels."""

SAMPLE_SIZE = 136
"""The side of ``sample_jpeg``'s frame in pixels."""


def sample_jpeg() -> Bytes:
    """Return a frame of waves in all colours as ``fastrot prepare`` encodes it; this needs no encoder."""
    return np.fromfile(Path(__file__).with_name("sample.jpg"), dtype=np.uint8)


def check_engine(
    store: Store, videos: NDArray[np.int64], device: torch.device, crop: int = CROP
) -> None:
    """Compare a few frames of ``videos`` as decoded by the GPU's hardware decoder and by the CPU.

    Does nothing on a CPU and for other codecs than mjpeg. Damaged frames are not compared: they are left to
    the loader, which replaces and reports them.

    Raises:
        FastrotError: The pixels differ, or DALI is not installed.
    """
    if store.codec != "mjpeg" or device.type != "cuda":
        return
    found = _differences_by_video(first_packets(store, spread(videos)), crop, device)
    worst = max(found, key=lambda video: found[video], default=None)
    if worst is not None and found[worst] > MOST_DIFFERENCE:
        raise FastrotError(
            f"the hardware JPEG decoder of {device} is wrong about video {store.name(worst)!r} of "
            f"{store.path}: its pixels differ from the CPU's by {found[worst]:.1f} of 255 on average (limit: "
            f"{MOST_DIFFERENCE:g}). Set data.hw_decoder_load=0 to decode without it"
        )


def _differences_by_video(
    packets: Mapping[int, Bytes], crop: int, device: torch.device
) -> dict[int, float]:
    """Return the differences of the frames that both decoders can decode."""
    if not packets:
        return {}
    try:
        found = engine_differences(list(packets.values()), crop, device)
        return dict(zip(packets, map(float, found), strict=True))
    except RuntimeError:  # undecodable data, which has no checksum or was stored so
        alone = {}
        for video, jpeg in packets.items():
            with suppress(RuntimeError):
                alone[video] = float(engine_differences([jpeg], crop, device)[0])
        return alone


def spread(videos: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at most ``COMPARED`` of the videos, evenly spaced, with the first and the last."""
    places = np.linspace(0, len(videos) - 1, min(COMPARED, len(videos)))
    return videos[places.astype(np.int64)]


def first_packets(store: Store, videos: NDArray[np.int64]) -> dict[int, Bytes]:
    """Return the JPEG of each video's first frame, by video, without those that are damaged."""
    files, first = ShardFiles(), np.zeros(1, dtype=np.int64)
    packets = {}
    for video in videos.tolist():
        with suppress(FastrotError):
            packets[video] = read_packets(store, files, video, first)[0][0]
    return packets


def engine_differences(
    jpegs: Sequence[Bytes], crop: int, device: torch.device
) -> NDArray[np.float64]:
    """Return the mean absolute difference of each frame, in levels of 255, between hardware and CPU.

    Args:
        jpegs: Files of equal size.
        crop: The side of the compared middle in pixels.
        device: The GPU. If it has no hardware decoder, or that rejects a file, CUDA decodes it.

    Raises:
        FastrotError: DALI is not installed.
        RuntimeError: A file cannot be decoded.
    """
    ours = decode(jpegs, crop, device)
    right = decode(jpegs, crop, torch.device("cpu"))
    differences: NDArray[np.float64] = np.abs(ours - right).mean(axis=(1, 2, 3))
    return differences


def decode(
    jpegs: Sequence[Bytes], crop: int, device: torch.device, hw_decoder_load: float = 1.0
) -> NDArray[np.float64]:
    """Decode the middles of JPEGs as a loader does: decoders have other code for a crop than for a frame.

    Args:
        jpegs: Files of equal size.
        crop: The side of the middle in pixels.
        device: Where to decode.
        hw_decoder_load: On a GPU, the share for its hardware decoder.

    Returns:
        (N, crop, crop, 3) RGB levels, 0 to 255.
    """
    options = LoaderOptions(threads=1, prefetch=1, hw_decoder_load=hw_decoder_load)
    pipeline = middles(jpegs, crop, device, options)
    (output,) = pipeline.run()
    frames: NDArray[np.uint8] = torch.utils.dlpack.from_dlpack(output.as_tensor()).cpu().numpy()
    return frames.reshape(len(jpegs), crop, crop, 3).astype(np.float64)


def middles(jpegs: Sequence[Bytes], crop: int, device: torch.device, options: LoaderOptions) -> Any:
    """Return the pipeline of a loader's graph that decodes the middles of ``jpegs`` in every batch."""
    count = len(jpegs)
    middle = np.full(count, 0.5, dtype=np.float32)
    side = np.full(count, crop, dtype=np.float32)
    fed = [list(jpegs), middle, middle, side, side]
    if device.type == "cuda":
        fed.append(np.zeros(count, dtype=np.int32))  # nothing is flipped
    spec = ClipSpec(frames=1, crop=crop)
    return build_pipeline(
        lambda _: tuple(fed), "mjpeg", spec, batch=count, device=device, options=options
    )
