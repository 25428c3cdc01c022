"""How many clips a second does the loader give, from one store? Run: python -m benchmarks.loading STORE

Random training clips of 16 frames, RGB and DIF in turn, consumed as fast as they come, by the loader's
own statistics. One JSON line a modality, medians over interleaved repeats.
"""

import argparse
import json
import statistics
from pathlib import Path

import torch

from pipelines.loader import Loader, LoaderStats
from pipelines.machine import cores
from pipelines.plan import ClipSpec, Modality, TrainPlan, train_ranges
from pipelines.store import Store

BATCH = 16


def load(store: Store, modality: Modality, *, frames: int, steps: int, seed: int) -> LoaderStats:
    """Consume ``steps`` batches and return what the loader says of them."""
    spec = ClipSpec(frames=frames, crop=min(112, store.size), modality=modality)
    plan = TrainPlan(store, store.select("all"), spec, seed=seed)
    ranges = train_ranges(batch=BATCH, start_step=0, steps=steps, rank=0, world=1, accumulate=1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with Loader(store, plan, ranges, batch=BATCH, device=device, threads=cores()) as loader:
        for _ in loader:
            pass
        return loader.stats


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    store = Store.open(args.store)
    modalities: tuple[Modality, ...] = ("rgb", "dif")
    runs: dict[Modality, list[LoaderStats]] = {modality: [] for modality in modalities}
    for repeat in range(args.repeats):
        for modality in modalities:
            runs[modality].append(
                load(store, modality, frames=args.frames, steps=args.steps, seed=repeat)
            )
    for modality, found in runs.items():
        figures = {
            "codec": store.codec,
            "modality": modality,
            "frames": args.frames,
            "clips_per_s": round(statistics.median(stats.clips_per_s for stats in found), 1),
            "read_mb_per_s": round(
                statistics.median(stats.bytes_per_s for stats in found) / 1e6, 1
            ),
            "queue_depth": round(statistics.median(stats.queue_depth for stats in found), 2),
        }
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
