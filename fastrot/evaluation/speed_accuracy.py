"""Accuracy of the playback speed, next to that of the rotation (ours, not the paper's)."""

from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from fastrot.data.loaders import training_spec
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet, Reading, Totals
from fastrot.evaluation.intervals import percentage
from fastrot.evaluation.rotation_accuracy import RotationResult, rotation_result, share_right
from fastrot.evaluation.trained import Trained, evaluating
from fastrot.evaluation.unreadable import merged
from fastrot.tasks import SpeedTask
from pipelines.errors import UsageError


@dataclass(frozen=True)
class SpeedResult(RotationResult):
    """Rotation accuracies over the clips of all speeds together, and the accuracy of the speed, in 0..1.

    ``rotation_per_speed`` is the rotation accuracy at each of ``speeds``. The speed's numbers are over all
    rotations of the ``speed_videos`` videos with room for the fastest clip, as in training: elsewhere, a
    fast clip turns back. They are None without such videos. The standard error is that of the mean over
    videos; None for a single video. ``speed_confusion[i][j]`` counts clips of ``speeds[i]`` classified as
    ``speeds[j]``.
    """

    speeds: list[int]
    rotation_per_speed: list[float]
    speed_accuracy: float | None
    speed_standard_error: float | None
    speed_per_class: list[float] | None
    speed_confusion: list[list[int]]
    speed_videos: int

    def findings(self) -> list[str]:
        """Return the accuracies and the protocol as lines to print."""
        *lines, protocol = super().findings()
        lines.append(f"rotation accuracy by speed: {self._each(self.rotation_per_speed)}")
        chance = 100 / len(self.speeds)
        if self.speed_accuracy is None or self.speed_per_class is None:
            lines.append("speed accuracy not measured: no video has room for the fastest clip")
        else:
            speed = percentage(self.speed_accuracy, self.speed_standard_error, self.speed_videos)
            lines.append(
                f"speed accuracy {speed.text()} % ({self._each(self.speed_per_class)}; "
                f"chance {chance:.1f} %), of {self.speed_videos} videos with room for the fastest clip"
            )
        return [*lines, protocol]

    def _each(self, accuracies: list[float]) -> str:
        return ", ".join(
            f"x{speed} {100 * accuracy:.1f} %"
            for speed, accuracy in zip(self.speeds, accuracies, strict=True)
        )


def evaluate_speeds(trained: Trained, clips: ClipSet, runtime: Runtime) -> SpeedResult:
    """Classify rotation and speed of clips at every speed; every process gets the whole result.

    Each speed is a pass over the clip set with its stride: uniformly spaced clips that fit at this stride.
    BatchNorm is in eval mode. A video that is unreadable in one pass counts in none.

    Raises:
        UsageError: The network has another task, or the store lacks the split.
        FastrotError: More videos are unreadable in a pass than ``data.broken_share`` tolerates.
    """
    task = trained.task
    if not isinstance(task, SpeedTask):
        raise UsageError(
            f"this network does not classify speeds: use `fastrot evaluate {task.measure}`"
        )
    passes = [_at_speed(trained, task, clips, runtime, speed) for speed in task.speeds]
    videos = reduce(np.intersect1d, (totals.videos for totals in passes))
    turns, speeds = len(task.rotations), len(task.speeds)
    # (videos, speeds, rotation and its answer, then the answers of the speed)
    counts = torch.stack([each.sums[np.isin(each.videos, videos)] for each in passes], dim=1)
    rotations = counts[:, :, : turns * turns].reshape(-1, speeds, turns, turns)
    protocol = replace(
        passes[0].protocol,
        videos=len(videos),
        stride=trained.config.data.stride,
        speeds=tuple(task.speeds),
    )
    skipped = merged(*(totals.skipped for totals in passes))
    both = rotation_result(
        task, Totals(videos, rotations.sum(dim=1), protocol, skipped), clips.per_video * speeds
    )
    long = clips.store.frames[videos] >= training_spec(trained.config).span
    answers = counts[torch.from_numpy(long), :, turns * turns :]
    right = share_right(answers, torch.eye(speeds, dtype=torch.bool)) if len(answers) else None
    total = answers.sum(dim=0)
    return SpeedResult(
        **vars(both),
        speeds=task.speeds,
        rotation_per_speed=[
            share_right(each, torch.eye(turns, dtype=torch.bool)).mean
            for each in rotations.unbind(dim=1)
        ],
        speed_accuracy=right.mean if right else None,
        speed_standard_error=right.error if right else None,
        speed_per_class=(total.diagonal() / total.sum(dim=1)).tolist() if right else None,
        speed_confusion=total.tolist(),
        speed_videos=len(answers),
    )


def _at_speed(
    trained: Trained, task: SpeedTask, clips: ClipSet, runtime: Runtime, speed: int
) -> Totals:
    """Count each video's answers at one speed: (rotations, rotations) flattened, then those of the speed."""
    config = trained.config
    data = replace(config.data, stride=config.data.stride * speed)
    reading = Reading(replace(trained, config=replace(config, data=data)), clips, runtime)
    turns = len(task.rotations)
    cells = reading.zeros(turns * turns + len(task.speeds), dtype=torch.int64)

    def count(rows: Tensor, cell: Tensor) -> None:
        cells.index_put_((rows, cell), torch.ones_like(cell), accumulate=True)

    with evaluating(trained.network):
        for rows, outputs, targets in reading.outputs(f"evaluate speed {speed}"):
            logits, rotations = task.rotation_of(outputs, targets)
            count(rows, rotations * turns + logits.argmax(dim=1))
            logits, _ = task.speed_of(outputs, targets)
            count(rows, turns * turns + logits.argmax(dim=1))
    return reading.finish(cells)
