"""How well does a pretext network answer on unseen videos? By the measure of its task."""

from dataclasses import dataclass

import torch

from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet, Reading
from fastrot.evaluation.protocol import Result
from fastrot.evaluation.regression import AngleResult, evaluate_angles
from fastrot.evaluation.rotation_accuracy import RotationResult, evaluate_rotation
from fastrot.evaluation.trained import Trained, evaluating
from fastrot.tasks import ActionTask, RegressionTask, RotationTask
from pipelines.errors import UsageError


@dataclass(frozen=True)
class PretextResult(Result):
    """The accuracy (0..1) of any pretext task: the share of answers that its ``correct`` counts as right.

    ``task`` is the config's name of it, ``answer`` what the network is asked for, and ``answers`` how many
    it gave.
    """

    task: str
    answer: str
    accuracy: float
    answers: int

    def findings(self) -> list[str]:
        """Return the accuracy and the protocol as lines to print."""
        return [
            f"pretext accuracy {100 * self.accuracy:.2f} % ({self.task}, {self.answer})",
            f"protocol: {self.protocol}; {self.answers} answers",
        ]


def evaluate_pretext(
    trained: Trained, clips: ClipSet, runtime: Runtime
) -> RotationResult | AngleResult | PretextResult:
    """Measure a pretext network by the measure of its task, BatchNorm in eval mode.

    Raises:
        UsageError: the network recognises actions, or the store lacks the split.
        FastrotError: more videos cannot be read than data.broken_share tolerates.
    """
    task = trained.task
    if isinstance(task, ActionTask):
        raise UsageError("this network recognises actions: use `fastrot evaluate action`")
    if isinstance(task, RotationTask):
        return evaluate_rotation(trained, clips, runtime)
    if isinstance(task, RegressionTask):
        return evaluate_angles(trained, clips, runtime)
    return _accuracy(trained, clips, runtime)


def _accuracy(trained: Trained, clips: ClipSet, runtime: Runtime) -> PretextResult:
    """Count the right answers of a task that has no measure of its own."""
    task = trained.task
    reading = Reading(trained, clips, runtime)
    sums = reading.zeros(2, dtype=torch.int64)
    with evaluating(trained.network):
        for rows, outputs, targets in reading.outputs("evaluate pretext"):
            for video in set(rows.tolist()):
                mine = rows == video
                sums[video, 0] += task.correct(outputs[mine], targets[mine])
                sums[video, 1] += mine.sum()
    totals = reading.finish(sums)
    right, answers = totals.sums.sum(dim=0).tolist()
    return PretextResult(
        task=trained.config.task,
        answer=task.answer,
        accuracy=right / answers,
        answers=answers,
        protocol=totals.protocol,
        skipped=totals.skipped,
    )
