"""Rotation accuracy on unseen videos (section 4.3)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet, Reading, Totals
from fastrot.evaluation.intervals import Estimate, mean_of, percentage
from fastrot.evaluation.protocol import Result
from fastrot.evaluation.trained import Trained, evaluating
from fastrot.rotation.sets import RotationSet
from fastrot.tasks import RotationTask
from pipelines.errors import UsageError


@dataclass(frozen=True)
class RotationResult(Result):
    """Accuracies in 0..1 over every rotation of every clip.

    Standard errors are also in 0..1, and None for a single video. They are those of the mean over videos,
    since the rotations of a video are not independent.

    ``confusion[i][j]`` counts clips of rotation ``degrees[i]`` classified as ``degrees[j]``.
    ``axis_accuracy`` is the share of answers with the right axis: 0 or 180 degrees, or 90 or 270. It is the
    measure of a cue that reveals no more, such as a stretched frame. It is None unless half of the rotations
    have each axis, where chance is 0.5.
    """

    accuracy: float
    accuracy_standard_error: float | None
    axis_accuracy: float | None
    axis_standard_error: float | None
    per_class: list[float]
    degrees: list[int]
    confusion: list[list[int]]
    clips: int

    def findings(self) -> list[str]:
        """Return the accuracies and the protocol as lines to print."""
        each = ", ".join(
            f"{turn} deg {100 * accuracy:.1f} %"
            for turn, accuracy in zip(self.degrees, self.per_class, strict=True)
        )
        videos = self.protocol.videos
        accuracy = percentage(self.accuracy, self.accuracy_standard_error, videos)
        lines = [f"rotation accuracy {accuracy.text()} % ({each})"]
        if self.axis_accuracy is not None:
            axis = percentage(self.axis_accuracy, self.axis_standard_error, videos)
            lines.append(
                f"axis accuracy {axis.text()} % (0 or 180 deg against 90 or 270; chance 50 %)"
            )
        if self.accuracy_standard_error is not None:
            lines[-1] += "; ± is a 95 % interval over videos"
        return [
            *lines,
            f"protocol: {self.protocol}; {self.clips} clips in {len(self.degrees)} rotations",
        ]


def evaluate_rotation(trained: Trained, clips: ClipSet, runtime: Runtime) -> RotationResult:
    """Classify all rotations of a clip set with BatchNorm in eval mode; every process gets the whole result.

    A network that also classifies speeds is measured at the stride of its config; ``evaluate_pretext``
    measures it at every speed.

    Raises:
        UsageError: The network has another task, or the store lacks the split.
        FastrotError: More videos are unreadable than ``data.broken_share`` tolerates.
    """
    task = trained.task
    if not isinstance(task, RotationTask):
        raise UsageError(
            f"this network does not classify rotations: use `fastrot evaluate {task.measure}`"
        )
    reading = Reading(trained, clips, runtime)
    classes = len(task.rotations)
    # One matrix per video, because videos that are not completely readable must not count.
    cells = reading.zeros(classes, classes, dtype=torch.int64)
    with evaluating(trained.network):
        for rows, outputs, targets in reading.outputs("evaluate rotation"):
            logits, rotations = task.rotation_of(outputs, targets)
            found = logits.argmax(dim=1)
            cells.index_put_((rows, rotations, found), torch.ones_like(found), accumulate=True)
    return rotation_result(task, reading.finish(cells), clips.per_video)


def rotation_result(task: RotationTask, totals: Totals, per_video: int) -> RotationResult:
    """Return the accuracies of counted answers.

    Args:
        task: The task with C rotations.
        totals: Sums (N, C, C) int64, each video's answers by rotation and answer.
        per_video: Clips of each video.
    """
    counts = totals.sums.sum(dim=0)
    right = counts.diagonal()
    accuracy = share_right(totals.sums, torch.eye(len(task.rotations), dtype=torch.bool))
    axis = _axis_accuracy(totals.sums, task.rotations)
    return RotationResult(
        accuracy=accuracy.mean,
        accuracy_standard_error=accuracy.error,
        axis_accuracy=axis.mean if axis else None,
        axis_standard_error=axis.error if axis else None,
        per_class=(right / counts.sum(dim=1)).tolist(),
        degrees=list(task.rotations.degrees),
        confusion=counts.tolist(),
        clips=len(totals.videos) * per_video,
        protocol=totals.protocol,
        skipped=totals.skipped,
    )


def share_right(counts: Tensor, right: Tensor) -> Estimate:
    """Average over videos the share of answers that are right.

    Args:
        counts: (N, C, C) int64, each video's answers by class and answer.
        right: (C, C) bool, the right answers.
    """
    shares = (counts * right).sum(dim=(1, 2)).double() / counts.sum(dim=(1, 2))
    return mean_of(shares.tolist())


def _axis_accuracy(counts: Tensor, rotations: RotationSet) -> Estimate | None:
    """Return the accuracy of the axis, or None unless half of the rotations have each axis."""
    turned = torch.tensor([degrees % 180 == 90 for degrees in rotations.degrees])
    if not rotations.exact or 2 * int(turned.sum()) != len(rotations):
        return None
    return share_right(counts, turned[:, None] == turned)
