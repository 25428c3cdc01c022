"""How fast does a store's disk give clips, and is that enough?"""

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
# What a GPU may be expected to sustain, so that a disk below it is worth a warning; no measurement.
MODEST_FLOPS = 100e12


@dataclass(frozen=True)
class DiskSpeed:
    """Random reads of a clip's size by four threads.

    ``cached`` says that the file system has no reads past the page cache, so that the figure may be
    memory's instead of the disk's.
    """

    bytes_per_s: float
    clips_per_s: float
    cached: bool


def clip_bytes(store: Store) -> int:
    """Return the mean bytes that a clip of 16 frames reads: encoded videos are read whole."""
    if CODECS[store.codec].video:
        return int(store.bytes.mean())
    return int(CLIP_FRAMES * store.bytes.sum() / store.frames.sum())


def measure_disk(store: Store, *, seconds: float = 1.5) -> DiskSpeed:
    """Read clips' worth of bytes at random places of the shards for a while.

    Reads go past the page cache (O_DIRECT) where the file system can, and evict nothing from it.

    Raises:
        OSError: a shard cannot be read.
    """
    shards = [store.path / "shards" / name for name in store.shards]
    cached = not _has_direct(shards[0])
    flags = os.O_RDONLY | (0 if cached else os.O_DIRECT)
    size = -(-clip_bytes(store) // BLOCK) * BLOCK
    until = time.perf_counter() + seconds

    def read(seed: int) -> tuple[int, int]:
        rng = np.random.default_rng(seed)
        total = reads = 0
        with mmap.mmap(-1, size) as buffer:  # direct reads want aligned memory
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
    """Judge a disk: with GPUs, against what the paper's network could take at 100 TFLOP/s each."""
    from fastrot.models.flops import train_flops

    found = f"{speed.bytes_per_s / 1e6:,.0f} MB/s = {speed.clips_per_s:,.0f} clips/s"
    if speed.cached:
        found += " (perhaps from memory: this file system has no direct reads)"
    wanted = gpus * MODEST_FLOPS / (4 * train_flops())
    if speed.clips_per_s < wanted:
        remedy = (
            f"{gpus} GPU(s) at a modest 100 TFLOP/s would take {wanted:,.0f} clips/s: copy the store "
            "to a local NVMe disk, or prepare it in a smaller codec"
        )
        return warning("disk", found, remedy)
    return good("disk", found)
