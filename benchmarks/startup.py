"""How long does a store of N videos take to open, and to give its first batch? And how much memory?

Each size is measured in a process of its own, on a raw store without videos: a manifest over sparse
shards. Memory is the peak resident size, less what the imports took.
"""

import multiprocessing
import shutil
import tempfile
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from benchmarks.method import Case, Options, Result, interleave
from benchmarks.resident import peak_mb
from benchmarks.synthetic import make_sparse_store
from pipelines.loader import Loader
from pipelines.plan import ClipSpec, TrainPlan, train_ranges
from pipelines.store import Store

BATCH = 32
REPEATS = 3


def run(options: Options, *, budget_s: float, repeats: int = REPEATS) -> Result:
    """Measure stores of growing size, the largest of 500,000 videos; or the store that the options name."""
    began = time.monotonic()
    sizes = (100,) if options.quick else (100_000, 500_000)
    folder = Path(tempfile.mkdtemp(prefix="fastrot-startup-"))
    try:
        if options.store is not None:
            stores = {f"{options.store.name}": options.store}
        else:
            stores = {
                f"{videos:,} videos": make_sparse_store(folder / str(videos), videos=videos)
                for videos in sizes
            }
        cases = [
            Case(name, partial(_in_new_process, store), {"by": "fastrot"})
            for name, store in stores.items()
        ]
        left = budget_s - (time.monotonic() - began)
        found = interleave(
            cases,
            budget_s=left,
            repeats=repeats,
            warm_up=False,  # a process knows nothing of the one before it
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


def _in_new_process(store: Path) -> dict[str, float]:
    """Measure one opening in a fresh process: memory that is freed there does not hide here."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(store, theirs))
    process.start()
    theirs.close()
    try:
        figures: dict[str, float] = ours.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"the process ended with exit code {process.exitcode}") from None
    process.join()
    return figures


def _measure(path: Path, answer: Connection) -> None:
    imported = peak_mb()
    began = time.perf_counter()
    store = Store.open(path)
    opened = time.perf_counter()
    opened_mb = peak_mb()
    plan = TrainPlan(store, store.select("all"), ClipSpec(crop=min(112, store.size)), seed=0)
    ranges = train_ranges(batch=BATCH, start_step=0, steps=2, rank=0, world=1, accumulate=1)
    with Loader(store, plan, ranges, batch=BATCH, device=torch.device("cpu")) as loader:
        next(loader)
        loaded = time.perf_counter()
    answer.send(
        {
            "open_s": opened - began,
            "first_batch_s": loaded - opened,
            "open_mb": opened_mb - imported,
            "first_batch_mb": peak_mb() - imported,
        }
    )
