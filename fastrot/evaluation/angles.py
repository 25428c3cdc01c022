"""Regression of the rotation: how far off is the network, around the circle? (eq. 1, section 4.6)"""

from dataclasses import dataclass

import torch

from fastrot.clips import select_videos
from fastrot.evaluation.trained import Protocol, Trained, each_output, evaluating, protocol
from fastrot.runtime import Runtime
from fastrot.tasks import RegressionTask
from pipelines.errors import UsageError
from pipelines.store import Store


@dataclass(frozen=True)
class AngleResult:
    """Errors around the circle, 0 to 180 degrees; an answer at random is 90 off on average.

    ``accuracy`` is the share of answers within 22.5 degrees, 0..1 (at random: 0.125).
    """

    mean_error_degrees: float
    accuracy: float
    clips: int
    views: int
    protocol: Protocol

    def lines(self) -> list[str]:
        """Return what to print, the protocol included."""
        return [
            f"mean angular error {self.mean_error_degrees:.2f} degrees around the circle (at random 90); "
            f"{100 * self.accuracy:.2f} % within 22.5 degrees (at random 12.5 %)",
            f"protocol: {self.protocol}; {self.clips} clips in {self.views} rotations each, by whole "
            "degrees drawn by the clip's number",
        ]


def evaluate_angles(
    trained: Trained,
    store: Store,
    split: str,
    runtime: Runtime,
    *,
    clips_per_video: int = 1,
    batch: int = 16,
    quiet: bool = False,
) -> AngleResult:
    """Measure a regression of the rotation; the arguments are ``evaluate_rotation``'s.

    Raises:
        UsageError: the network is of another task, or the store lacks the split.
    """
    task = trained.task
    if not isinstance(task, RegressionTask):
        raise UsageError(f"this network predicts no angle: use `fastrot evaluate {task.measure}`")
    videos = select_videos(store, split, labelled=False, shots=0, seed=0)
    totals = torch.zeros(2, dtype=torch.float64, device=runtime.device)
    with evaluating(trained.network):
        for _, outputs, targets in each_output(
            trained,
            store,
            videos,
            runtime,
            clips_per_video=clips_per_video,
            batch=batch,
            what="evaluate rotation",
            quiet=quiet,
        ):
            totals[0] += task.errors(outputs, targets).double().sum()
            totals[1] += task.correct(outputs, targets)
    clips = len(videos) * clips_per_video
    error, right = (runtime.all_sum(totals) / (clips * task.views)).tolist()
    return AngleResult(
        mean_error_degrees=error,
        accuracy=right,
        clips=clips,
        views=task.views,
        protocol=protocol(trained, store, split, videos, clips_per_video=clips_per_video),
    )
