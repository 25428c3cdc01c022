"""Regression of the rotation: how far off is the network, around the circle? (eq. 1, section 4.6)"""

from dataclasses import dataclass, field

import torch

from fastrot.data.selection import select_videos
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.trained import Protocol, Trained, each_output, evaluating, protocol
from fastrot.evaluation.unreadable import Skipped, settle, skipped_lines
from fastrot.tasks import RegressionTask
from pipelines.errors import UsageError
from pipelines.loading.replacement import Replaced
from pipelines.store.reading import Store


@dataclass(frozen=True)
class AngleResult:
    """Errors around the circle, 0 to 180 degrees; an answer at random is 90 off on average.

    ``accuracy`` is the share of answers within 22.5 degrees, 0..1 (at random: 0.125).
    ``skipped`` videos could not be read, and count nowhere.
    """

    mean_error_degrees: float
    accuracy: float
    clips: int
    views: int
    protocol: Protocol
    skipped: list[Skipped] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return what to print, the protocol included."""
        return [
            f"mean angular error {self.mean_error_degrees:.2f} degrees around the circle (at random 90); "
            f"{100 * self.accuracy:.2f} % within 22.5 degrees (at random 12.5 %)",
            f"protocol: {self.protocol}; {self.clips} clips in {self.views} rotations each, by whole "
            "degrees drawn by the clip's number",
            *skipped_lines(self.skipped),
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
        FastrotError: more videos cannot be read than data.broken_share tolerates.
    """
    task = trained.task
    if not isinstance(task, RegressionTask):
        raise UsageError(f"this network predicts no angle: use `fastrot evaluate {task.measure}`")
    videos = select_videos(store, split, labelled=False, shots=0, seed=0)
    totals = torch.zeros(len(videos), 2, dtype=torch.float64, device=runtime.device)
    unread: list[Replaced] = []
    with evaluating(trained.network):
        for loaded, outputs, targets in each_output(
            trained,
            store,
            videos,
            runtime,
            clips_per_video=clips_per_video,
            batch=batch,
            what="evaluate rotation",
            quiet=quiet,
            unread=unread,
        ):
            rows = torch.from_numpy(loaded.samples // clips_per_video).to(runtime.device)
            errors = task.errors(outputs, targets)
            of_view = torch.stack([errors, errors <= task.RIGHT_WITHIN], dim=1)
            # Outputs are rotation-major: all clips in one rotation, then all in the next.
            totals.index_add_(0, rows.repeat(task.views), of_view.double())
    kept, skipped = settle(
        unread,
        runtime,
        share=trained.config.data.broken_share,
        videos=len(videos),
        clips_per_video=clips_per_video,
    )
    videos = videos[kept]
    clips = len(videos) * clips_per_video
    sums = runtime.all_sum(totals).cpu()[kept].sum(dim=0)
    error, right = (sums / (clips * task.views)).tolist()
    return AngleResult(
        mean_error_degrees=error,
        accuracy=right,
        clips=clips,
        views=task.views,
        protocol=protocol(trained, store, split, videos, clips_per_video=clips_per_video),
        skipped=skipped,
    )
