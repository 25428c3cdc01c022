"""Consumes batches of any loader as fast as possible and measures the rate."""

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import torch

Batches = Callable[[], AbstractContextManager[Iterator[torch.Tensor]]]
"""Makes a loader, and ends it."""


def consume(
    make: Batches, *, frames: int, seconds: float, unmeasured: int, device: torch.device
) -> dict[str, float]:
    """Take batches as fast as they come, and return the figures.

    Args:
        make: Makes the loader, and ends it.
        frames: Of a clip.
        seconds: How long to measure.
        unmeasured: Batches after the first one that the clock does not see: what workers had begun at the
            same time as the first.
        device: Where the batches are wanted.
    """
    began = time.perf_counter()
    with make() as batches:
        next(batches).to(device)
        first_batch_s = time.perf_counter() - began
        for _ in range(unmeasured):
            next(batches)
        clips = 0
        began, cpu_began = time.perf_counter(), cpu_s()
        for batch in batches:
            clips += len(batch.to(device, non_blocking=True))
            if time.perf_counter() - began >= seconds:
                break
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        took, cpu = time.perf_counter() - began, cpu_s() - cpu_began
    return {
        "clips_per_s": clips / took,
        "frames_per_s": clips * frames / took,
        "cpu_ms_per_clip": 1000 * cpu / clips,
        "first_batch_s": first_batch_s,
    }


def cpu_s() -> float:
    """Return CPU seconds of this process and its living children so far."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = sum(os.times()[:2])
    for child in multiprocessing.active_children():
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / ticks
    return total
