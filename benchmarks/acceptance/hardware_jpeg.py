"""Whether the GPU decodes a store's JPEGs as the CPU does, and how fast: by its JPEG engine and by CUDA."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.acceptance.measures import measure, options_of
from benchmarks.acceptance.moving_picture import moving_picture
from benchmarks.acceptance.rows import Turn
from benchmarks.harness.measure import Case, NotHere, Options
from pipelines.loading.dali_graph import build_pipeline
from pipelines.loading.options import LoaderOptions, default_threads
from pipelines.plan import ClipSpec
from pipelines.prepare.jpeg import encode_jpegs
from pipelines.store.codecs import CODECS

CROP = 112
CLIPS, FRAMES = 32, 16
SECONDS = 1.0


def run(turn: Turn) -> None:
    """Compare one frame first, since an engine that refuses or misreads it makes its rates meaningless."""
    quality = CODECS["mjpeg"].quality
    assert quality is not None
    (packet,) = encode_jpegs(moving_picture(1), quality)
    jpeg = np.frombuffer(packet, dtype=np.uint8)
    with options_of(turn) as options:
        cases = [
            *(
                Case(f"one frame, {way}", partial(compare, jpeg, options, load))
                for way, load in WAYS
            ),
            *(Case(f"rate, {way}", partial(rate, jpeg, options, load)) for way, load in WAYS),
        ]
        measure(turn, cases)


WAYS = (("hw_decoder_load 1", 1.0), ("hw_decoder_load 0", 0.0))


def compare(jpeg: np.ndarray[Any, Any], options: Options, load: float) -> Mapping[str, float]:
    """Return the differences in levels between the GPU's pixels of a frame and the CPU's.

    Raises:
        NotHere: There is no GPU.
    """
    _require_gpu(options.device)
    expected = decoded(jpeg, torch.device("cpu"), load).astype(int)
    difference = np.abs(decoded(jpeg, options.device, load).astype(int) - expected)
    return {"mean_difference": float(difference.mean()), "most_difference": float(difference.max())}


def decoded(jpeg: np.ndarray[Any, Any], device: torch.device, load: float) -> np.ndarray[Any, Any]:
    """Decode a JPEG by the graph that training uses; returns its middle, (1, 112, 112, 3) uint8."""
    options = LoaderOptions(threads=1, prefetch=1, hw_decoder_load=load)
    (output,) = _pipeline(jpeg, device, options, clips=1, frames=1).run()
    pixels: np.ndarray[Any, Any] = np.array(output.as_cpu().as_tensor())
    return pixels


def rate(jpeg: np.ndarray[Any, Any], options: Options, load: float) -> Mapping[str, float]:
    """Return the frames per second of batches of 512 equal frames.

    Raises:
        NotHere: There is no GPU.
    """
    _require_gpu(options.device)
    threads = default_threads(options.runtime.cores, options.device.type)
    with_load = LoaderOptions(threads=threads, hw_decoder_load=load)
    pipeline = _pipeline(jpeg, options.device, with_load, clips=CLIPS, frames=FRAMES)
    for _ in range(4):  # as many as are decoded ahead
        pipeline.run()
    torch.cuda.synchronize()
    began = time.perf_counter()
    batches = 0
    while time.perf_counter() - began < SECONDS:
        pipeline.run()
        batches += 1
    torch.cuda.synchronize()
    return {"frames_per_s": batches * CLIPS * FRAMES / (time.perf_counter() - began)}


def _pipeline(
    jpeg: np.ndarray[Any, Any],
    device: torch.device,
    options: LoaderOptions,
    *,
    clips: int,
    frames: int,
) -> Any:
    count = clips * frames
    middle = np.full(count, 0.5, np.float32)
    fed: tuple[Any, ...] = ([jpeg] * count, middle, middle)
    if device.type == "cuda":
        fed = (*fed, np.zeros(count, np.int32))
    spec = ClipSpec(frames, crop=CROP)
    return build_pipeline(lambda _: fed, "mjpeg", spec, batch=clips, device=device, options=options)


def _require_gpu(device: torch.device) -> None:
    if device.type != "cuda":
        raise NotHere("there is no GPU")
