"""Check that memory and handles stay flat over hours of loading, pipeline rebuilds and training."""

import shutil
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks.harness.resident import resident_now_mb
from benchmarks.soak.small_stores import SIZE, make_store
from fastrot.config import from_mapping
from fastrot.terminal.console import say
from fastrot.training.run import train
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions
from pipelines.loading.replacement import Tolerance
from pipelines.plan import ClipSpec, TrainPlan
from pipelines.store.reading import Store

BATCHES = 24
ALLOWED_MB = 16.0
"""Allowed growth from the second to the last quarter, for fluctuations of the allocator."""


@dataclass
class Flatness:
    """Measurements after each cycle (minutes, resident MB, handles, threads) and the total of rebuilds."""

    minutes: list[float] = field(default_factory=list)
    resident_mb: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    rebuilds: int = 0

    @property
    def growth_mb(self) -> float:
        """Growth of the median resident memory from the second to the last quarter, in MB."""
        quarter = max(1, len(self.resident_mb) // 4)
        second = self.resident_mb[quarter : 2 * quarter] or self.resident_mb
        return statistics.median(self.resident_mb[-quarter:]) - statistics.median(second)

    @property
    def flat(self) -> bool:
        """Whether memory grew by at most ALLOWED_MB and handles and threads did not grow."""
        warm = len(self.handles) // 4
        steady = max(self.handles[warm:]) == min(self.handles[warm:])
        return self.growth_mb <= ALLOWED_MB and steady and self.threads[-1] <= self.threads[warm]

    def lines(self) -> list[str]:
        """Return a readable summary."""
        warm = len(self.handles) // 4
        return [
            f"cycles                    {len(self.minutes)} in {self.minutes[-1]:.1f} minutes",
            f"pipelines rebuilt         {self.rebuilds}",
            f"resident memory           {self.resident_mb[warm]:.0f} MB after the first quarter, "
            f"{self.resident_mb[-1]:.0f} MB at the end",
            f"growth                    {self.growth_mb:+.1f} MB (medians of second and last quarter)",
            f"open handles              {self.handles[warm]} after the first quarter, "
            f"{self.handles[-1]} at the end",
            f"threads                   {self.threads[warm]} after the first quarter, "
            f"{self.threads[-1]} at the end",
            f"flat                      {'yes' if self.flat else 'no'}",
        ]


def measure(seconds: float, *, folder: Path, cycles: float = float("inf")) -> Flatness:
    """Load, rebuild and train repeatedly until ``seconds`` have passed or ``cycles`` are done."""
    store = Store.open(make_store(folder / "store", "mjpeg", 12))
    _break_pictures(store, 5)
    found = Flatness()
    began = reported = time.monotonic()
    while time.monotonic() - began < seconds and len(found.minutes) < cycles:
        found.rebuilds += _load(store, len(found.minutes))
        _train(store, folder)
        found.minutes.append((time.monotonic() - began) / 60)
        found.resident_mb.append(resident_now_mb())
        found.handles.append(len(list(Path("/proc/self/fd").iterdir())))
        found.threads.append(len(list(Path("/proc/self/task").iterdir())))
        if time.monotonic() - reported > 60:
            reported = time.monotonic()
            say(
                f"{found.minutes[-1]:5.1f} min  {found.resident_mb[-1]:.0f} MB  "
                f"{found.handles[-1]} handles  {found.rebuilds} rebuilds"
            )
    return found


def _load(store: Store, seed: int) -> int:
    """Iterate over a loader whose decoder fails; return the number of pipeline rebuilds."""
    plan = TrainPlan(store, store.select("all"), ClipSpec(frames=4, crop=SIZE - 8), seed=seed)
    ranges = [(4 * step, 4) for step in range(BATCHES)]
    with Loader(
        store,
        plan,
        ranges,
        batch=4,
        device=torch.device("cpu"),
        options=LoaderOptions(threads=1, check=False),
        tolerance=Tolerance(1.0),
    ) as loader:
        assert sum(len(batch.clips) for batch in loader) == 4 * BATCHES
        return loader.rebuilds


def _train(store: Store, folder: Path) -> None:
    """Train a few steps with checkpoints; clips of the damaged video are replaced."""
    config = from_mapping(
        {
            "name": "run",
            "out": str(folder / "runs"),
            "data": {"store": str(store.path), "frames": 4, "crop": SIZE - 8},
            "model": {"depth": 10, "width": 4},
            "train": {"batch": 4, "iterations": 6, "log_every": 2, "checkpoint_every": 2},
        }
    )
    train(config, quiet=True)
    shutil.rmtree(folder / "runs")


def _break_pictures(store: Store, video: int) -> None:
    """Overwrite all but the first and last bytes of each picture of a video, so that DALI fails on it."""
    with store.shard_path(video).open("r+b") as file:
        file.seek(int(store.offset[video]))
        data = bytearray(file.read(int(store.bytes[video])))
        at = 0
        while (at := data.find(b"\xff\xd8", at)) >= 0:
            end = data.find(b"\xff\xd9", at)
            data[at + 4 : end] = bytes(end - at - 4)
            at = end
        file.seek(int(store.offset[video]))
        file.write(data)
