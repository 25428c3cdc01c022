"""What will not run, or not run well, as planned."""

from collections.abc import Mapping

from fastrot.reproduce import paper
from fastrot.reproduce.cost import network_input
from fastrot.reproduce.run_plan import Plan, TrainRun
from fastrot.reproduce.settings import Setting

FEWEST_CLIPS = 16
"""Clips per process and step below which the statistics of BatchNorm are too noisy; the paper has 128."""


def too_few_videos(plan: Plan, setting: Setting) -> list[str]:
    """Return a line for each run that needs more videos than its store has, such as rows of Table 4."""
    lines = []
    for run in plan.runs:
        data = run.config.data
        available = setting.videos(data.store, data.split)
        if data.videos and available is not None and available < data.videos:
            lines.append(
                f"{run.name} cannot run: it needs {data.videos:,} videos, and the split {data.split} of "
                f"{data.store} has {available:,}. The paper uses Kinetics-600 (about "
                f"{paper.KINETICS_VIDEOS:,} videos)."
            )
    return lines


def small_batches(plan: Plan, processes: int) -> list[str]:
    """Return a line if a process gets too few clips per step for BatchNorm in some runs.

    Args:
        plan: The plan.
        processes: Number of processes per run; 0 and 1 are a single process.
    """
    if processes < 2:
        return []
    clips: Mapping[TrainRun, int] = {run: _clips_per_process(run, processes) for run in plan.runs}
    small = [
        run for run, count in clips.items() if count < FEWEST_CLIPS and not run.config.train.sync_bn
    ]
    if not small:
        return []
    worst = min(small, key=lambda run: clips[run])
    return [
        f"{len(small)} runs have fewer than {FEWEST_CLIPS} clips per process and step for BatchNorm with "
        f"--nproc {processes}, such as {worst.name} with {clips[worst]}: add train.sync_bn=true "
        "(finetune:train.sync_bn=true for fine-tuning only), or use fewer processes"
    ]


def _clips_per_process(run: TrainRun, processes: int) -> int:
    train = run.config.train
    views, _ = network_input(run.config)
    return train.batch * views // (processes * train.accumulate)
