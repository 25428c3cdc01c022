"""How long does a store of N videos take to open, and to give its first batch? And how much memory?

Run: python -m benchmarks.opening 1000 10000 100000 500000 1000000

Each size in a process of its own, on a raw store without videos: a manifest over sparse shards. One
JSON line a size. Memory is the peak resident size, less what the imports took.
"""

import argparse
import json
import multiprocessing
import resource
import shutil
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.synthetic import make_sparse_store
from pipelines.loader import Loader
from pipelines.plan import ClipSpec, TrainPlan, train_ranges
from pipelines.store import Store

BATCH = 32


def measure(path: Path) -> None:
    """Open the store, load a batch of 16-frame clips, and print the figures."""
    imported = _peak_mb()
    began = time.perf_counter()
    store = Store.open(path)
    opened = time.perf_counter()
    opened_mb = _peak_mb()
    plan = TrainPlan(store, store.select("train"), ClipSpec(), seed=0)
    ranges = train_ranges(batch=BATCH, start_step=0, steps=2, rank=0, world=1, accumulate=1)
    with Loader(store, plan, ranges, batch=BATCH, device=torch.device("cpu")) as loader:
        next(loader)
        loaded = time.perf_counter()
    figures = {
        "videos": len(store),
        "open_s": round(opened - began, 3),
        "first_batch_s": round(loaded - opened, 3),
        "open_mb": round(opened_mb - imported, 1),
        "first_batch_mb": round(_peak_mb() - imported, 1),
    }
    print(json.dumps(figures), flush=True)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main() -> None:
    """Make each store, measure it, remove it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=int, nargs="+")
    for videos in parser.parse_args().videos:
        folder = Path(tempfile.mkdtemp(prefix="fastrot-opening-"))
        try:
            store = make_sparse_store(folder / "store", videos=videos)
            process = multiprocessing.get_context("spawn").Process(target=measure, args=(store,))
            process.start()
            process.join()
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
