"""Evaluation of a pretext network on unseen videos, by the measure of its task."""

from dataclasses import dataclass

import torch

from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet, Reading
from fastrot.evaluation.protocol import Result
from fastrot.evaluation.regression import AngleResult, evaluate_angles
from fastrot.evaluation.rotation_accuracy import RotationResult, evaluate_rotation
from fastrot.evaluation.speed_accuracy import evaluate_speeds
from fastrot.evaluation.trained import Trained, evaluating
from fastrot.tasks import ActionTask, RegressionTask, RotationTask, SpeedTask
from pipelines.errors import UsageError


@dataclass(frozen=True)
class PretextResult(Result):
    """The accuracy (0..1) of any pretext task: the share of predictions that are right by its ``correct``.

    ``task`` is the name of the task in the config, ``answer`` describes what the network predicts, and
    ``answers`` is the number of predictions.
    """

    task: str
    answer: str
    accuracy: float
    answers: int

    def findings(self) -> list[str]:
        """Return the accuracy and the protocol as lines to print."""
        return [
            f"pretext accuracy {100 * self.accuracy:.2f} % ({self.task}, {self.answer})",
            f"protocol: {self.protocol}; {self.answers} predictions",
        ]


def evaluate_pretext(
    trained: Trained, clips: ClipSet, runtime: Runtime
) -> RotationResult | AngleResult | PretextResult:
    """Evaluate a pretext network by the measure of its task, with BatchNorm in eval mode.

    Raises:
        UsageError: The network recognises actions, or the store lacks the split.
        FastrotError: More videos are unreadable than ``data.broken_share`` tolerates.
    """
    task = trained.task
    if isinstance(task, ActionTask):
        raise UsageError("this network recognises actions: use `fastrot evaluate action`")
    if isinstance(task, SpeedTask):
        return evaluate_speeds(trained, clips, runtime)
    if isinstance(task, RotationTask):
        return evaluate_rotation(trained, clips, runtime)
    if isinstance(task, RegressionTask):
        return evaluate_angles(trained, clips, runtime)
    return _accuracy(trained, clips, runtime)


def _accuracy(trained: Trained, clips: ClipSet, runtime: Runtime) -> PretextResult:
    """Count the correct predictions of a task without a specific measure."""
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
