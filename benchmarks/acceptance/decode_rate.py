"""The rate of a DALI pipeline that decodes the same batch again and again."""

import time
from typing import Any

import torch

SECONDS = 1.0
_AHEAD = 4  # batches that are decoded before the clock starts: as many as DALI decodes ahead


def batches_per_second(pipeline: Any) -> float:
    """Return the batches per second of a built pipeline on a GPU, over about a second."""
    for _ in range(_AHEAD):
        pipeline.run()
    torch.cuda.synchronize()
    began = time.perf_counter()
    batches = 0
    while time.perf_counter() - began < SECONDS:
        pipeline.run()
        batches += 1
    torch.cuda.synchronize()
    return batches / (time.perf_counter() - began)
