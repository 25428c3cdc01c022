"""Whether the GPU decodes a store's JPEGs as the CPU does, and how fast: by its JPEG engine and by CUDA."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch

from benchmarks.acceptance.decode_rate import batches_per_second
from benchmarks.acceptance.measures import measure, options_of
from benchmarks.acceptance.rows import Turn
from benchmarks.harness.measure import Case, NotHere, Options
from pipelines.loading.jpeg_engine import CROP, decode, middles, sample_jpeg
from pipelines.loading.options import LoaderOptions, default_threads

FRAMES = 32 * 16
"""Frames of a batch of the paper."""


WAYS = (("hw_decoder_load 1", 1.0), ("hw_decoder_load 0", 0.0))


def run(turn: Turn) -> None:
    """Compare one frame first, since an engine that refuses or misreads it makes its rates meaningless."""
    with options_of(turn) as options:
        cases = [
            *(Case(f"one frame, {way}", partial(compare, options, load)) for way, load in WAYS),
            *(Case(f"rate, {way}", partial(rate, options, load)) for way, load in WAYS),
        ]
        measure(turn, cases)


def compare(options: Options, load: float) -> Mapping[str, float]:
    """Return the differences in levels between the GPU's pixels of a frame and the CPU's.

    Raises:
        NotHere: There is no GPU.
    """
    _require_gpu(options.device)
    jpegs = [sample_jpeg()]
    expected = decode(jpegs, CROP, torch.device("cpu"))
    difference = np.abs(decode(jpegs, CROP, options.device, load) - expected)
    return {"mean_difference": float(difference.mean()), "most_difference": float(difference.max())}


def rate(options: Options, load: float) -> Mapping[str, float]:
    """Return the frames per second of batches of 512 equal frames.

    Raises:
        NotHere: There is no GPU.
    """
    _require_gpu(options.device)
    threads = default_threads(options.runtime.cores, options.device.type)
    with_load = LoaderOptions(threads=threads, hw_decoder_load=load)
    pipeline = middles([sample_jpeg()] * FRAMES, CROP, options.device, with_load)
    return {"frames_per_s": FRAMES * batches_per_second(pipeline)}


def _require_gpu(device: torch.device) -> None:
    if device.type != "cuda":
        raise NotHere("there is no GPU")
