"""A process's resident size: now, at its peak, and over many clips of a loader."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.consume import Batches

SETTLED = 0.1  # the share of the clips after which pools and queues have their size


def measure_memory(
    make: Batches,
    *,
    clips: int,
    budget_s: float,
    resident_mb: Callable[[], float] | None = None,
) -> dict[str, float]:
    """Load ``clips`` clips once, or as many as the budget allows, and say by how much the process grew.

    ``growth_mb`` is from the first tenth on; it takes the highest size after that.
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

    ``getrusage`` does not serve: in a process that another one has started it begins at that one's peak.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("/proc/self/status has no VmHWM")
