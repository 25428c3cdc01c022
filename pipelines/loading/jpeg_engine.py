"""Compares a GPU's hardware JPEG decoder with the CPU's, before anything is learned from its pixels."""

from collections.abc import Sequence
from contextlib import suppress

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


def check_engine(store: Store, videos: NDArray[np.int64], device: torch.device) -> None:
    """Compare a few frames of ``videos`` as decoded by the GPU's hardware decoder and by the CPU.

    Does nothing on a CPU and for other codecs than mjpeg. Damaged frames are not compared: they are left to
    the loader, which replaces and reports them.

    Raises:
        FastrotError: The pixels differ, or DALI is not installed.
    """
    if store.codec != "mjpeg" or device.type != "cuda":
        return
    packets = first_packets(store, spread(videos))
    if not packets:
        return
    try:
        found = engine_differences(list(packets.values()), store.size, device)
    except RuntimeError:  # undecodable data, which has no checksum or was stored so
        return
    worst = int(np.argmax(found))
    if found[worst] > MOST_DIFFERENCE:
        raise FastrotError(
            f"the hardware JPEG decoder of {device} is wrong about video "
            f"{store.name(list(packets)[worst])!r} of {store.path}: its pixels differ from the CPU's by "
            f"{found[worst]:.1f} of 255 on average (limit: {MOST_DIFFERENCE:g}). "
            "Set data.hw_decoder_load=0 to decode without it"
        )


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
    jpegs: Sequence[Bytes], size: int, device: torch.device
) -> NDArray[np.float64]:
    """Return the mean absolute difference of each frame, in levels of 255, between hardware and CPU.

    Args:
        jpegs: Files of ``size`` x ``size`` pixels.
        size: Their side in pixels.
        device: The GPU. If it has no hardware decoder, or that rejects a file, CUDA decodes it.

    Raises:
        FastrotError: DALI is not installed.
        RuntimeError: A file cannot be decoded.
    """
    ours = decode(jpegs, size, device)
    right = decode(jpegs, size, torch.device("cpu"))
    differences: NDArray[np.float64] = np.abs(ours - right).mean(axis=(1, 2, 3))
    return differences


def decode(jpegs: Sequence[Bytes], size: int, device: torch.device) -> NDArray[np.float64]:
    """Decode JPEGs as a loader does, on a GPU all of them by the hardware decoder.

    Returns:
        (N, size, size, 3) RGB levels, 0 to 255.
    """
    count = len(jpegs)
    nowhere = np.zeros(count, dtype=np.float32)  # nothing is cropped
    fed = [list(jpegs), nowhere, nowhere]
    if device.type == "cuda":
        fed.append(np.zeros(count, dtype=np.int32))  # nothing is flipped
    pipeline = build_pipeline(
        lambda _: tuple(fed),
        "mjpeg",
        ClipSpec(frames=1, crop=size),
        batch=count,
        device=device,
        options=LoaderOptions(threads=1, prefetch=1, hw_decoder_load=1.0),
    )
    (output,) = pipeline.run()
    frames: NDArray[np.uint8] = torch.utils.dlpack.from_dlpack(output.as_tensor()).cpu().numpy()
    return frames.reshape(count, size, size, 3).astype(np.float64)
