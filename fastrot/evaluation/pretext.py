"""How well does a pretext network answer on unseen videos? By the measure of its task."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from fastrot.data.selection import select_videos
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.regression import AngleResult, evaluate_angles
from fastrot.evaluation.rotation_accuracy import RotationResult, evaluate_rotation
from fastrot.evaluation.trained import Protocol, Trained, each_output, evaluating, protocol
from fastrot.evaluation.unreadable import Skipped, settle, skipped_lines
from fastrot.tasks import ActionTask, RegressionTask, RotationTask
from pipelines.errors import UsageError
from pipelines.loading.replacement import Replaced
from pipelines.store.reading import Store


@dataclass(frozen=True)
class PretextResult:
    """The accuracy (0..1) of any pretext task: the share of answers that its ``correct`` counts as right.

    ``task`` is the config's name of it, ``answer`` what the network is asked for, and ``answers`` how many
    it gave. ``skipped`` videos could not be read, and count nowhere.
    """

    task: str
    answer: str
    accuracy: float
    answers: int
    protocol: Protocol
    skipped: list[Skipped] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return what to print, the protocol included."""
        return [
            f"pretext accuracy {100 * self.accuracy:.2f} % ({self.task}, {self.answer})",
            f"protocol: {self.protocol}; {self.answers} answers",
            *skipped_lines(self.skipped),
        ]


def evaluate_pretext(
    trained: Trained,
    store: Store,
    split: str,
    runtime: Runtime,
    *,
    clips_per_video: int = 1,
    batch: int = 16,
    quiet: bool = False,
) -> RotationResult | AngleResult | PretextResult:
    """Measure a pretext network by the measure of its task; the arguments are ``evaluate_rotation``'s.

    Raises:
        UsageError: the network recognises actions, or the store lacks the split.
    """
    task = trained.task
    if isinstance(task, ActionTask):
        raise UsageError("this network recognises actions: use `fastrot evaluate action`")
    measure: Callable[..., RotationResult | AngleResult | PretextResult] = _accuracy
    if isinstance(task, RotationTask):
        measure = evaluate_rotation
    elif isinstance(task, RegressionTask):
        measure = evaluate_angles
    return measure(
        trained,
        store,
        split,
        runtime,
        clips_per_video=clips_per_video,
        batch=batch,
        quiet=quiet,
    )


def _accuracy(
    trained: Trained,
    store: Store,
    split: str,
    runtime: Runtime,
    *,
    clips_per_video: int,
    batch: int,
    quiet: bool,
) -> PretextResult:
    """Count the right answers of a task that has no measure of its own."""
    task = trained.task
    videos = select_videos(store, split, labelled=False, shots=0, seed=0)
    totals = torch.zeros(len(videos), 2, dtype=torch.int64, device=runtime.device)
    unread: list[Replaced] = []
    with evaluating(trained.network):
        for loaded, outputs, targets in each_output(
            trained,
            store,
            videos,
            runtime,
            clips_per_video=clips_per_video,
            batch=batch,
            what="evaluate pretext",
            quiet=quiet,
            unread=unread,
        ):
            clips = len(loaded.samples)
            for at, video in enumerate(loaded.samples // clips_per_video):
                of_clip = targets[at::clips]  # a task's views of a clip are a batch apart
                totals[video, 0] += task.correct(outputs[at::clips], of_clip)
                totals[video, 1] += len(of_clip)
    kept, skipped = settle(
        unread,
        runtime,
        share=trained.config.data.broken_share,
        videos=len(videos),
        clips_per_video=clips_per_video,
    )
    videos = videos[kept]
    right, answers = runtime.all_sum(totals)[kept].sum(dim=0).tolist()
    return PretextResult(
        task=trained.config.task,
        answer=task.answer,
        accuracy=right / answers,
        answers=answers,
        protocol=protocol(trained, store, split, videos, clips_per_video=clips_per_video),
        skipped=skipped,
    )
