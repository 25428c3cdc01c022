"""Evaluation of rotation regression by the angular error (eq. 1, section 4.6)."""

from dataclasses import dataclass

import torch

from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet, Reading
from fastrot.evaluation.intervals import Estimate, mean_of, percentage
from fastrot.evaluation.protocol import Result
from fastrot.evaluation.trained import Trained, evaluating
from fastrot.tasks import RegressionTask
from pipelines.errors import UsageError


@dataclass(frozen=True)
class AngleResult(Result):
    """Angular errors, 0 to 180 degrees; the mean error of a random prediction is 90.

    ``accuracy`` is the share of predictions within 22.5 degrees, 0..1 (at random: 0.125). Standard errors,
    in the unit of their mean, are those of the mean over videos; None for a single video.
    """

    mean_error_degrees: float
    mean_error_standard_error: float | None
    accuracy: float
    accuracy_standard_error: float | None
    clips: int
    views: int

    def findings(self) -> list[str]:
        """Return the errors and the protocol as lines to print."""
        videos = self.protocol.videos
        accuracy = percentage(self.accuracy, self.accuracy_standard_error, videos)
        error = Estimate(
            self.mean_error_degrees, self.mean_error_standard_error, videos, max(videos - 1, 1)
        )
        meaning = "" if error.error is None else "; ± is a 95 % interval over videos"
        return [
            f"mean angular error {error.text()} degrees around the circle (at random 90); "
            f"{accuracy.text()} % within 22.5 degrees (at random 12.5 %){meaning}",
            f"protocol: {self.protocol}; {self.clips} clips in {self.views} rotations each, by whole "
            "degrees drawn from the index of the clip",
        ]


def evaluate_angles(trained: Trained, clips: ClipSet, runtime: Runtime) -> AngleResult:
    """Evaluate rotation regression with BatchNorm in eval mode; every process gets the whole result.

    Raises:
        UsageError: The network has another task, or the store lacks the split.
        FastrotError: More videos are unreadable than ``data.broken_share`` tolerates.
    """
    task = trained.task
    if not isinstance(task, RegressionTask):
        raise UsageError(
            f"this network does not predict angles: use `fastrot evaluate {task.measure}`"
        )
    reading = Reading(trained, clips, runtime)
    sums = reading.zeros(2, dtype=torch.float64)
    with evaluating(trained.network):
        for rows, outputs, targets in reading.outputs("evaluate rotation"):
            errors = task.errors(outputs, targets)
            of_view = torch.stack([errors, errors <= task.RIGHT_WITHIN], dim=1)
            sums.index_add_(0, rows, of_view.double())
    totals = reading.finish(sums)
    count = len(totals.videos) * clips.per_video
    of_videos = totals.sums / (clips.per_video * task.views)
    error, right = (mean_of(values.tolist()) for values in of_videos.unbind(dim=1))
    return AngleResult(
        mean_error_degrees=error.mean,
        mean_error_standard_error=error.error,
        accuracy=right.mean,
        accuracy_standard_error=right.error,
        clips=count,
        views=task.views,
        protocol=totals.protocol,
        skipped=totals.skipped,
    )
