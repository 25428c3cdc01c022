"""Check that training runs survive faults. Run: python -m benchmarks.soak --seconds 600

Until the time is up, small training runs are killed, stopped and signalled at random times, and their
stores and checkpoints are damaged. Each run is resumed until it is done and then compared with an
undisturbed run on an intact store that uses the same replacement clips. Losses and weights must be
bit-identical.
"""

import functools
import json
import platform
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.soak.faults import BEFORE_START, WHILE_RUNNING, Job, substitute
from benchmarks.soak.small_stores import make_films, make_store
from fastrot.commands.arguments import Parser
from fastrot.runs.checkpoint import load_checkpoint
from fastrot.terminal.console import say

STEPS = 40
BATCH = 4
VIDEOS = 40
PATIENCE_S = 300.0
"""A run that takes longer counts as hung."""


class Soak:
    """Runs with injected faults, and their results.

    Attributes:
        counts: All counts, by name; ``differences`` and ``clips lost`` must be 0.
        failures: Descriptions of unexpected behaviour.
    """

    def __init__(self, folder: Path, seed: int):
        self._folder = folder
        self._random = random.Random(seed)
        self._stores = {
            codec: make_store(folder / codec, codec, VIDEOS) for codec in ("raw", "mjpeg")
        }
        self._films = make_films(folder / "films", 4)
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []

    def round(self, number: int, deadline: float) -> None:
        """Run one job with faults until it is done, and compare it with an undisturbed run."""
        config = self._config(number)
        folder = Path(config["out"])
        folder.mkdir()
        if config["data"]["source"] == "store":
            codec = self._random.choice(list(self._stores))
            config["data"]["store"] = str(folder / "store")
            shutil.copytree(self._stores[codec], folder / "store")
        world = self._random.choice((1, 2))
        self.counts[f"runs of {world} process(es)"] += 1
        while not self._launch(config, world, faults=time.monotonic() < deadline):
            if self.failures:
                return
        self._compare(config, world)
        shutil.rmtree(folder)

    def _config(self, number: int) -> dict[str, Any]:
        task = self._random.choice(("rotation", "action"))
        source = "reader" if task == "rotation" and self._random.random() < 0.3 else "store"
        data: dict[str, Any] = {"source": source, "frames": 4, "crop": 32, "prefetch": 2}
        if source == "reader":
            data |= {"store": str(self._films), "size": 40, "step": 3}
        return {
            "task": task,
            "name": "soak",
            "seed": number,
            "out": str(self._folder / f"round{number}"),
            # One fault damages a large share of only forty videos: tolerate up to a thousand bad clips.
            "data": {**data, "broken_share": 0.5},
            "model": {"depth": 10, "width": 4, "dropout": 0.3 if task == "action" else 0.0},
            "optim": {"lr": 0.05, "schedule": "cosine"},
            "train": {
                "batch": BATCH,
                "iterations": STEPS,
                "log_every": 1,
                "checkpoint_every": self._random.randint(1, 7),
                "timeout_s": 15.0,
            },
        }

    def _launch(self, config: dict[str, Any], world: int, *, faults: bool) -> bool:
        """Start or resume a run, inject a fault, and return whether the run is done."""
        job = Job(config, world)
        kinds = [name for name in BEFORE_START if faults and BEFORE_START[name](job, None)]
        if kinds and self._random.random() < 0.5:
            kind = self._random.choice(kinds)
            BEFORE_START[kind](job, self._random)
            self._injected(kind)
        job.start()
        happened = None
        if faults and job.await_steps(self._random.randint(1, STEPS // 4)):
            happened = self._random.choice(
                [name for name, fault in WHILE_RUNNING.items() if fault.suits(job)]
            )
            if WHILE_RUNNING[happened].inject(job, self._random):
                self._injected(happened)
            else:
                happened = None
        codes = job.wait(PATIENCE_S)
        if all(code == 0 for code in codes):
            return True
        expected = WHILE_RUNNING[happened].codes if happened else set()
        if not set(codes) <= expected | {0}:
            self.counts["not survived"] += 1
            self.failures.append(f"after {happened}: exit codes {codes}\n{job.output()}")
        self.counts["restarts"] += 1
        return False

    def _injected(self, kind: str) -> None:
        self.counts[f"injected: {kind}"] += 1
        self.counts["faults injected"] += 1

    def _compare(self, config: dict[str, Any], world: int) -> None:
        """Count missing clips and differences from an undisturbed run on an intact store."""
        job = Job(config, world)
        rows = [row for line in job.metrics() for row in line.get("replaced", [])]
        lines = [line for line in job.metrics() if "loss" in line]
        views = 4 if config["task"] == "rotation" else 1
        self.counts["clips trained on"] += sum(line["clips"] for line in lines) // views
        self.counts["clips replaced"] += len(rows)
        self.counts["clips lost"] += STEPS * BATCH - sum(line["clips"] for line in lines) // views
        reference = {**config, "name": "reference"}
        if config["data"]["source"] == "store":
            whole = next(
                store
                for store in self._stores.values()
                if (store / "store.json").read_bytes()
                == Path(config["data"]["store"], "store.json").read_bytes()
            )
            reference["data"] = {**config["data"], "store": str(whole)}
        other = Job(reference, world)
        other.start(functools.partial(substitute, {row["sample"]: row["by"] for row in rows}))
        if any(other.wait(PATIENCE_S)):
            self.failures.append(f"the undisturbed run failed\n{other.output()}")
            return
        expected = [line for line in other.metrics() if "loss" in line]
        keys = ("step", "loss", "accuracy", "lr", "clips")
        mine, theirs = (
            [[line[key] for key in keys] for line in each] for each in (lines, expected)
        )
        differing = sum(a != b for a, b in zip(mine, theirs, strict=False)) + abs(
            len(mine) - len(theirs)
        )
        first, second = (load_checkpoint(each.last)["model"] for each in (job, other))
        differing += sum(not torch.equal(first[name], second[name]) for name in first)
        self.counts["differences"] += differing
        if differing:
            self.failures.append(f"{differing} losses or tensors differ: {config}, {rows}")

    def report(self) -> list[str]:
        """Return the counts, one per line."""
        self.counts["survived"] = self.counts["faults injected"] - self.counts["not survived"]
        kinds = sorted(name for name in self.counts if name.startswith(("injected: ", "runs of")))
        names = [*kinds, "restarts", "clips trained on", "clips replaced"]
        names += ["faults injected", "survived", "clips lost", "differences"]
        return [f"{name:36s} {self.counts[name]}" for name in names]


def soak(seconds: float, *, seed: int, folder: Path, rounds: float = float("inf")) -> Soak:
    """Run jobs with faults until a check fails or the time or the rounds are used up.

    A run that has started is finished, but gets no further faults after ``seconds``.
    """
    found = Soak(folder, seed)
    began = time.monotonic()
    number = 0
    while time.monotonic() - began < seconds and number < rounds and not found.failures:
        found.round(number, began + seconds)
        number += 1
        say(
            f"{time.monotonic() - began:6.0f} s  {number} runs, "
            f"{found.counts['faults injected']} faults, {found.counts['differences']} differences"
        )
    return found


def main() -> int:
    """Run the soak test, print the counts, and exit with 1 if clips were lost or results differ."""
    parser = Parser(prog="python -m benchmarks.soak", description="Stop and damage training runs.")
    parser.add_argument("--seconds", type=float, default=600, help="duration of the test")
    parser.add_argument("--seed", type=int, help="seed of the faults (default: the time)")
    parser.add_argument(
        "--memory", action="store_true", help="measure memory and open handles instead"
    )
    args = parser.parse_args()
    seed = int(time.time()) if args.seed is None else args.seed
    say(
        f"{datetime.now():%Y-%m-%d %H:%M}  python -m benchmarks.soak {' '.join(sys.argv[1:])} (seed {seed}), "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
    with tempfile.TemporaryDirectory(prefix="fastrot-soak-") as folder:
        if args.memory:
            from benchmarks.soak.memory import measure

            flatness = measure(args.seconds, folder=Path(folder))
            for line in flatness.lines():
                say(line)
            return 0 if flatness.flat else 1
        found = soak(args.seconds, seed=seed, folder=Path(folder))
    for line in [*found.failures, *found.report()]:
        say(line)
    bad = found.failures or found.counts["differences"] or found.counts["clips lost"]
    print(json.dumps({"seed": seed, **{name: found.counts[name] for name in sorted(found.counts)}}))
    return 1 if bad else 0
