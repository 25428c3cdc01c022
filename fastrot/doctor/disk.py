"""Check of the read speed of a store's disk."""

import mmap
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastrot.doctor.check import Check, good, warning
from pipelines.store.codecs import CODECS
from pipelines.store.reading import Store

THREADS = 4
BLOCK = 4096
CLIP_FRAMES = 16
# Modest throughput of a GPU; a slower disk gets a warning. This is an assumption, not a measurement.
MODEST_FLOPS = 100e12


@dataclass(frozen=True)
class DiskSpeed:
    """Speed of random reads of one clip's size with four threads.

    ``cached`` means that the file system cannot bypass the page cache, so the numbers may be those of memory
    instead of the disk.
    """

    bytes_per_s: float
    clips_per_s: float
    cached: bool


def clip_bytes(store: Store) -> int:
    """Return the mean bytes read for a clip of 16 frames; video codecs read the whole video."""
    if CODECS[store.codec].video:
        return int(store.bytes.mean())
    return int(CLIP_FRAMES * store.bytes.sum() / store.frames.sum())


def measure_disk(store: Store, *, seconds: float = 1.5) -> DiskSpeed:
    """Measure reads of one clip's size at random positions in the shards for about ``seconds``.

    Reads bypass the page cache (O_DIRECT) if the file system supports it, and evict nothing from it.

    Raises:
        OSError: A shard cannot be read.
    """
    shards = [store.path / "shards" / name for name in store.shards]
    cached = not _has_direct(shards[0])
    flags = os.O_RDONLY | (0 if cached else os.O_DIRECT)
    size = -(-clip_bytes(store) // BLOCK) * BLOCK
    until = time.perf_counter() + seconds

    def read(seed: int) -> tuple[int, int]:
        rng = np.random.default_rng(seed)
        total = reads = 0
        with mmap.mmap(-1, size) as buffer:  # direct reads need aligned memory
            while reads == 0 or time.perf_counter() < until:
                shard = shards[int(rng.integers(len(shards)))]
                with os.fdopen(os.open(shard, flags), "rb", buffering=0) as file:
                    blocks = max(1, (os.fstat(file.fileno()).st_size - size) // BLOCK)
                    place = int(rng.integers(blocks)) * BLOCK
                    total += os.preadv(file.fileno(), [buffer], place)
                reads += 1
        return total, reads

    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        counts = list(pool.map(read, range(THREADS)))
    took = time.perf_counter() - began
    total = sum(count for count, _ in counts)
    return DiskSpeed(total / took, total / took / clip_bytes(store), cached)


def _has_direct(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
        with os.fdopen(descriptor, "rb", buffering=0), mmap.mmap(-1, BLOCK) as buffer:
            os.preadv(descriptor, [buffer], 0)
    except OSError:  # tmpfs and others
        return False
    return True


def check_disk(speed: DiskSpeed, *, gpus: int) -> Check:
    """Check a disk; with GPUs, compare it with the paper's network at 100 TFLOP/s per GPU."""
    from fastrot.models.flops import train_flops

    found = f"{speed.bytes_per_s / 1e6:,.0f} MB/s = {speed.clips_per_s:,.0f} clips/s"
    if speed.cached:
        found += " (possibly cached in memory: this file system has no direct reads)"
    wanted = gpus * MODEST_FLOPS / (4 * train_flops())
    if speed.clips_per_s < wanted:
        remedy = (
            f"{gpus} GPU(s) at a modest 100 TFLOP/s need {wanted:,.0f} clips/s: copy the store "
            "to a local NVMe disk, or prepare it with a smaller codec"
        )
        return warning("disk", found, remedy)
    return good("disk", found)
