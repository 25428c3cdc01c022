"""The same training on 1..N processes, with weak and strong scaling.

With weak scaling, the work grows with the processes; with strong scaling, it stays the same. Each
measurement is a complete ``fastrot pretrain`` under torchrun. On a CPU, over gloo, each process has its
own core. That exercises the code that a cluster runs, but its figures do not apply to a cluster.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.harness.inputs import require_dali
from benchmarks.harness.limits import with_share
from benchmarks.harness.measure import Case, Fact, Options, Outcome, Result, interleave
from benchmarks.harness.processes import run_limited
from benchmarks.harness.sparse_store import make_sparse_store
from fastrot.config import Config, DataConfig, ModelConfig, OptimConfig, TrainConfig, to_yaml
from fastrot.models.network import pretext_network
from pipelines.errors import FastrotError

WINDOWS = 4  # of `Sizes.steps` steps each; the first warms up

NO_CLUSTER = (
    "This measures the code path, several processes over gloo on the CPU of one machine: it is no figure of "
    "a cluster. docs/scaling.md calculates one."
)


@dataclass(frozen=True)
class Sizes:
    """Videos per step and process, steps per window, and the sizes of the network and the clips."""

    batch: int
    steps: int
    width: int
    frames: int
    crop: int


def run(options: Options, *, budget_s: float) -> Result:
    """Train on 1, 2, 4, ... processes, up to one for each GPU, or for each core."""
    gpu = options.device.type == "cuda"
    if options.quick:
        sizes = Sizes(batch=2, steps=1, width=2, frames=4, crop=16)
    elif gpu:
        sizes = Sizes(batch=32, steps=20, width=64, frames=16, crop=112)
    else:
        sizes = Sizes(batch=4, steps=2, width=8, frames=8, crop=56)
    ends = time.monotonic() + budget_s
    counts = process_counts(torch.cuda.device_count() if gpu else len(_cores()))
    with tempfile.TemporaryDirectory(prefix="fastrot-scaling-") as name:
        folder = Path(name)
        store = make_sparse_store(
            folder / "store", videos=64, frames=2 * sizes.frames, size=sizes.crop + 8
        )
        # The step of all processes together is the same in both kinds, so it is measured once.
        wanted = [("weak", count) for count in counts]
        wanted += [("strong", count) for count in counts[:-1]]
        cases = [
            _case(
                kind,
                count,
                _config(kind, count, counts[-1], sizes, store, folder),
                ends,
                gpu=gpu,
            )
            for kind, count in wanted
        ]
        outcomes = interleave(
            cases,
            budget_s=ends - time.monotonic(),
            repeats=3,
            warm_up=False,
            what="scaling",
            shown=options.shown,
        )
    return Result(
        benchmark="scaling",
        settings={
            "backend": "nccl" if gpu else "gloo",
            "processes": counts,
            "weak_videos_per_process": sizes.batch,
            "strong_videos": sizes.batch * counts[-1],
            "width": sizes.width,
            "frames": sizes.frames,
            "crop": sizes.crop,
            "gradient_mb": round(4e-6 * _weights(sizes.width), 2),
        },
        cases=with_speedup(list(outcomes.values())),
        notes=[
            *([] if gpu else [NO_CLUSTER, "n processes run on n cores."]),
            "speedup is clips/s over one process's of the same kind: n is perfect.",
            f"A repeat is a run of its own: the median of {WINDOWS - 1} windows of its log after the first.",
        ],
    )


def process_counts(most: int) -> list[int]:
    """Return 1, 2, 4, ... and ``most``."""
    counts = [1]
    while 2 * counts[-1] <= most:
        counts.append(2 * counts[-1])
    return counts if counts[-1] == most else [*counts, most]


def _config(kind: str, count: int, most: int, sizes: Sizes, store: Path, folder: Path) -> Config:
    steps = WINDOWS * sizes.steps
    return Config(
        name=f"{kind}-{count}",
        out=str(folder / "runs"),
        data=DataConfig(store=str(store), frames=sizes.frames, crop=sizes.crop),
        model=ModelConfig(width=sizes.width),
        # The videos are black: training would diverge at the usual learning rates.
        optim=OptimConfig(lr=1e-6),
        train=TrainConfig(
            batch=sizes.batch * (count if kind == "weak" else most),
            iterations=steps,
            log_every=sizes.steps,
            checkpoint_every=0,
        ),
    )


def _case(kind: str, count: int, config: Config, ends: float, *, gpu: bool) -> Case:
    """Return the case of ``count`` processes.

    Its runs are stopped when the monotonic clock reaches ``ends``.
    """
    cores = _cores() if gpu else _cores()[:count]
    repeat = 0

    def measure() -> dict[str, float]:
        nonlocal repeat
        require_dali()
        repeat += 1
        named = replace(config, name=f"{config.name}-{repeat}")
        return launch(named, count, cores, ends - time.monotonic())

    facts: dict[str, Fact] = {
        "by": "fastrot",
        "kind": kind,
        "processes": count,
        "videos_per_step": config.train.batch,
    }
    return Case(f"{kind}, {count} process{'es' if count > 1 else ''}", measure, facts)


def launch(config: Config, count: int, cores: Sequence[int], seconds: float) -> dict[str, float]:
    """Train in ``count`` processes on the given cores, and return the figures of their log.

    ``seconds`` is the time limit.
    """
    out = Path(config.out)
    out.mkdir(exist_ok=True)
    file = out / f"{config.name}.yaml"
    file.write_text(to_yaml(config))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(count), "-m", "fastrot", "pretrain", str(file)]
    program = f"import os, sys; os.sched_setaffinity(0, {list(cores)}); os.execv(sys.argv[1], sys.argv[1:])"
    if hasattr(os, "sched_setaffinity"):
        command = [sys.executable, "-c", program, *command]
    done = run_limited(command, seconds=seconds)
    if done.code is None:
        raise FastrotError(f"torchrun did not finish within {seconds:.0f} s")
    if done.code:
        raise FastrotError(
            f"torchrun failed with exit code {done.code}: {_last_error(done.errors)}"
        )
    lines = (out / config.name / "metrics.jsonl").read_text().splitlines()
    return figures_of([json.loads(line) for line in lines])


def figures_of(windows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return medians over the windows of a run's metrics.jsonl, without the first window."""
    measured = windows[1:]
    rate = statistics.median(window["clips_per_s"] for window in measured)
    seconds = statistics.median(
        (now["seconds"] - before["seconds"]) / (now["step"] - before["step"])
        for before, now in zip(windows, measured, strict=False)
    )
    waited = statistics.median(window["data_wait_share"] for window in measured)
    return {"clips_per_s": rate, "ms_per_step": 1e3 * seconds, "data_wait_share": waited}


def with_speedup(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return both kinds' outcomes, with clips/s relative to one process."""
    weak = [outcome for outcome in outcomes if outcome.facts["kind"] == "weak"]
    strong = [outcome for outcome in outcomes if outcome.facts["kind"] == "strong"]
    last = weak[-1]
    strong.append(
        replace(
            last, name=last.name.replace("weak", "strong"), facts={**last.facts, "kind": "strong"}
        )
    )
    return [
        outcome
        for mine in (weak, strong)
        for outcome in with_share(mine, "clips_per_s", mine[0], "speedup")
    ]


def _weights(width: int) -> int:
    return sum(weight.numel() for weight in pretext_network(4, width=width).parameters())


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _last_error(text: str) -> str:
    """Return the line of torchrun's output that contains the error."""
    lines = [line.strip() for line in text.splitlines() if "rror: " in line]
    return lines[0] if lines else text.strip()[-300:]
