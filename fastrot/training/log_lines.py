"""What a run's log says of how it starts, and of clips that were replaced."""

from collections.abc import Sequence
from dataclasses import asdict

from fastrot.config import Config
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.unreadable import of_all_processes
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
    clips = of_all_processes(replaced, runtime)
    for clip in clips:
        folder.log(f"step {step}  clip {clip.sample} replaced by clip {clip.by}: {clip.reason}")
    if clips:
        folder.record({"step": step, "replaced": [asdict(clip) for clip in clips]})
    return len(clips)
