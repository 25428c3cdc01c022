"""Measures how long a store of N videos takes to open and to load its first batch, and the memory.

Each size is measured in a separate process, on a raw store without videos: a manifest and sparse
shards. Memory is the peak resident size minus the memory of the imports.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmarks.harness.measure import Case, Options, Result, interleave
from benchmarks.harness.processes import run_alone
from benchmarks.harness.resident import peak_mb
from benchmarks.harness.sparse_store import make_sparse_store
from pipelines.loading.loader import Loader
from pipelines.plan import ClipSpec, TrainPlan
from pipelines.shares import train_ranges
from pipelines.store.reading import Store

BATCH = 32
REPEATS = 3
LARGE_S = 20.0  # a guess of the time to make and open a store of 500,000 videos


def run(options: Options, *, budget_s: float, repeats: int = REPEATS) -> Result:
    """Measure stores of up to 500,000 videos, or the store that the options name."""
    ends = time.monotonic() + budget_s
    folder = Path(tempfile.mkdtemp(prefix="fastrot-startup-"))
    try:
        if options.store is not None:
            cases = [_case(options.store.name, partial(_given, options.store), ends)]
        else:
            # The large one is first, so it starts after one measurement of the other, before the repeats.
            sizes = {100: 0.0} if options.quick else {500_000: LARGE_S, 100_000: 0.0}
            cases = [
                _case(f"{videos:,} videos", partial(_made, folder, videos), ends, first_s)
                for videos, first_s in sizes.items()
            ]
        found = interleave(
            cases,
            budget_s=budget_s,
            repeats=repeats,
            warm_up=False,  # each process starts without state from the one before
            what="startup",
            shown=options.shown,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Result(
        benchmark="startup",
        settings={"batch": BATCH, "frames": ClipSpec().frames, "quick": options.quick},
        cases=list(found.values()),
        notes=[
            "The stores are raw: a manifest of 160 frames of 136x136 a video over sparse shards.",
            "Memory is the peak above what the imports take.",
        ],
    )


def _case(name: str, store: Callable[[], Path], ends: float, first_s: float = 0.0) -> Case:
    def measure() -> dict[str, float]:
        path = store()
        return run_alone(open_store, path, seconds=ends - time.monotonic())

    return Case(name, measure, {"by": "fastrot"}, first_s)


def _given(path: Path) -> Path:
    return path


def _made(folder: Path, videos: int) -> Path:
    path = folder / str(videos)
    return path if path.exists() else make_sparse_store(path, videos=videos)


def open_store(path: Path) -> dict[str, float]:
    """Open a store and load two batches; return times and memory.

    The process must do nothing else.
    """
    imported = peak_mb()
    began = time.perf_counter()
    store = Store.open(path)
    opened = time.perf_counter()
    opened_mb = peak_mb()
    plan = TrainPlan(store, store.select("all"), ClipSpec(crop=min(112, store.size)), seed=0)
    ranges = train_ranges(batch=BATCH, start_step=0, steps=2)
    with Loader(store, plan, ranges, batch=BATCH, device=torch.device("cpu")) as loader:
        next(loader)
        loaded = time.perf_counter()
    return {
        "open_s": opened - began,
        "first_batch_s": loaded - opened,
        "open_mb": opened_mb - imported,
        "first_batch_mb": peak_mb() - imported,
    }
