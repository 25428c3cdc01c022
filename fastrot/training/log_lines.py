"""What a run's log says of how it starts, and of clips that were replaced."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from fastrot.config import Config
from fastrot.distributed.runtime import Runtime
from fastrot.runs.run_folder import RunFolder
from fastrot.tasks import Task
from fastrot.training.optim import scaled_lr
from pipelines.loading.replacement import Replaced


def opening_lines(
    config: Config, runtime: Runtime, task: Task, *, videos: int, steps: int
) -> list[str]:
    """Return the lines about where and on what a run trains; ``videos`` and ``steps`` are its numbers."""
    optim, batch = config.optim, config.train.batch
    lines = [
        runtime.describe(),
        f"{config.task}, {task.answer}, {videos} videos of {config.data.store} "
        f"(split {config.data.split}), batch {batch} videos = {batch * task.views} clips a step, "
        f"{steps} steps, init {config.init}",
    ]
    if optim.lr_batch:
        lines.append(
            f"learning rate {scaled_lr(optim, batch):g} = optim.lr {optim.lr:g} x batch {batch} / "
            f"optim.lr_batch {optim.lr_batch}, a batch of {batch // runtime.world} a process"
        )
    return lines


def report_replaced(
    replaced: Sequence[Replaced], folder: RunFolder, runtime: Runtime, step: int
) -> int:
    """Name the clips that were replaced in any process in the log and the metrics; return how many.

    Args:
        replaced: in this process, up to ``step``.
        folder: the run's.
        runtime: all of its processes call this together.
        step: the current one.
    """
    mine = json.dumps([asdict(each) for each in replaced]).encode() if replaced else b""
    everyones = [json.loads(each) for each in runtime.all_bytes(mine) if each]
    rows = sorted((row for each in everyones for row in each), key=lambda row: row["sample"])
    for row in rows:
        folder.log(
            f"step {step}  clip {row['sample']} replaced by clip {row['by']}: {row['reason']}"
        )
    if rows:
        folder.record({"step": step, "replaced": rows})
    return len(rows)
