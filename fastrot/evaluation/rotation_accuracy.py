"""Rotation accuracy on unseen videos (section 4.3)."""

from dataclasses import dataclass

import torch

from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet, Reading
from fastrot.evaluation.protocol import Result
from fastrot.evaluation.trained import Trained, evaluating
from fastrot.tasks import RotationTask
from pipelines.errors import UsageError


@dataclass(frozen=True)
class RotationResult(Result):
    """Accuracies in 0..1 over every rotation of every clip.

    ``confusion[i][j]`` counts clips of rotation ``degrees[i]`` classified as ``degrees[j]``.
    """

    accuracy: float
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
        return [
            f"rotation accuracy {100 * self.accuracy:.2f} % ({each})",
            f"protocol: {self.protocol}; {self.clips} clips in {len(self.degrees)} rotations",
        ]


def evaluate_rotation(trained: Trained, clips: ClipSet, runtime: Runtime) -> RotationResult:
    """Classify all rotations of a clip set with BatchNorm in eval mode; every process gets the whole result.

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
            found = outputs.argmax(dim=1)
            cells.index_put_((rows, targets, found), torch.ones_like(found), accumulate=True)
    totals = reading.finish(cells)
    counts = totals.sums.sum(dim=0)
    right = counts.diagonal()
    return RotationResult(
        accuracy=float(right.sum() / counts.sum()),
        per_class=(right / counts.sum(dim=1)).tolist(),
        degrees=list(task.rotations.degrees),
        confusion=counts.tolist(),
        clips=len(totals.videos) * clips.per_video,
        protocol=totals.protocol,
        skipped=totals.skipped,
    )
