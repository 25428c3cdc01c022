"""Resident size of a process: now, at its peak, and while a loader loads many clips."""

import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.consume import Batches
from benchmarks.harness.processes import run_alone
from fastrot.distributed.runtime import Runtime
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions, default_threads
from pipelines.plan import ClipSpec, TrainPlan
from pipelines.store.reading import Store

SETTLED = 0.1  # share of the clips after which pools and queues no longer grow


def watch_loader(
    store: Path,
    videos: NDArray[np.int64],
    spec: ClipSpec,
    *,
    batch: int,
    clips: int,
    budget_s: float,
) -> dict[str, float]:
    """Return ``measure_memory`` of our loader over ``videos`` of a store, in a separate process.

    In this process, memory that other loaders left could be freed or reused during the measurement.
    """
    watch = partial(_watch, store, videos, spec, batch, clips)
    return run_alone(watch, budget_s, seconds=math.inf)


def _watch(
    path: Path, videos: NDArray[np.int64], spec: ClipSpec, batch: int, clips: int, budget_s: float
) -> dict[str, float]:
    runtime = Runtime.start()
    store = Store.open(path)
    with Loader(
        store,
        TrainPlan(store, videos, spec, seed=0),
        [(first, batch) for first in range(0, clips, batch)],
        batch=batch,
        device=runtime.device,
        options=LoaderOptions(threads=default_threads(runtime.cores, runtime.device.type)),
    ) as loader:
        tensors = (batch.clips for batch in loader)
        return measure_memory(lambda: nullcontext(tensors), clips=clips, budget_s=budget_s)


def measure_memory(
    make: Batches,
    *,
    clips: int,
    budget_s: float,
    resident_mb: Callable[[], float] | None = None,
) -> dict[str, float]:
    """Load ``clips`` clips once, or as many as the budget allows, and measure the memory growth.

    ``growth_mb`` is the highest size after the first tenth of the batches, minus the size at that
    point.
    """
    resident = resident_mb or resident_now_mb
    ends = time.monotonic() + budget_s
    sizes: list[float] = []
    done = 0
    with make() as batches:
        for batch in batches:
            done += len(batch)
            sizes.append(resident())
            if done >= clips or time.monotonic() > ends:
                break
    settled = int(len(sizes) * SETTLED)
    return {
        "watched_clips": float(done),
        "resident_mb": sizes[-1],
        "growth_mb": max(sizes[settled:]) - sizes[settled],
    }


def resident_now_mb() -> float:
    """Return this process's resident size in 10^6 bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_mb() -> float:
    """Return this process's highest resident size so far in 10^6 bytes.

    ``getrusage`` is not suitable: in a child process, its value starts at the parent's peak.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("/proc/self/status has no VmHWM")
