"""CPU time of augmented clips next to plain ones. Run: python -m benchmarks.tools.augmentation_cost STORE.

CPU time of the whole process, not time on the clock, so that other processes of a busy machine hardly count.
"""

import argparse
import itertools
import json
import statistics
import time
from pathlib import Path

import torch

from benchmarks.loading.loader_cases import REGIONS
from pipelines.loading.appearance import Appearance, AppearanceLoader
from pipelines.loading.batches import BatchLoader
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions
from pipelines.loading.regions import RegionPlan
from pipelines.plan import ClipSpec, Modality, Plan, TrainPlan
from pipelines.store.reading import Store

BATCH = 16
CASES = {"plain": (False, False), "regions": (True, False), "all": (True, True)}
"""Whether a case has regions, and whether it has grey, gain and, for DIF, polarity."""


def open_loader(store: Store, modality: Modality, *, regions: bool, colours: bool) -> BatchLoader:
    """Return a loader on one thread with every option of the augmentation that is asked for."""
    plan: Plan = TrainPlan(
        store, store.select("all"), ClipSpec(crop=min(112, store.size), modality=modality), seed=0
    )
    if regions:
        plan = RegionPlan(plan, store, REGIONS, seed=0)
    loader = Loader(
        store,
        plan,
        ((BATCH * step, BATCH) for step in itertools.count()),
        batch=BATCH,
        device=torch.device("cpu"),
        options=LoaderOptions(threads=1, prefetch=1),
    )
    if not colours:
        return loader
    return AppearanceLoader(loader, Appearance(0, 0.5, 1.8, polarity=modality == "dif"))


def cpu_ms(loader: BatchLoader, batches: int) -> float:
    """Return the CPU time in ms per clip, after the queues are full."""
    with loader:
        for _ in range(3):
            next(loader)
        began = time.process_time()
        for _ in range(batches):
            next(loader)
        return (time.process_time() - began) / (batches * BATCH) * 1e3


def measure(store: Store, modality: Modality, *, batches: int, repeats: int) -> dict[str, object]:
    """Measure all cases in turn, and return medians and the median ratio of plain to each."""
    times: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(repeats):
        for name, (regions, colours) in CASES.items():
            loader = open_loader(store, modality, regions=regions, colours=colours)
            times[name].append(cpu_ms(loader, batches))
    found: dict[str, object] = {"codec": store.codec, "modality": modality}
    for name, of_case in times.items():
        found[f"{name}_ms"] = round(statistics.median(of_case), 2)
        shares = [plain / each for plain, each in zip(times["plain"], of_case, strict=True)]
        found[f"{name}_share"] = round(statistics.median(shares), 2)
    return found


def main() -> None:
    """Print one JSON line per modality."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--batches", type=int, default=12, help="batches of 16 clips per repeat")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    modalities: tuple[Modality, ...] = ("rgb", "dif")
    for modality in modalities:
        line = measure(
            Store.open(asked.store), modality, batches=asked.batches, repeats=asked.repeats
        )
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
