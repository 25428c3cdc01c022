"""Action recognition (section 3.4): top-1 and top-5, per clip and per video."""

from dataclasses import dataclass

import torch

from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet, Reading
from fastrot.evaluation.protocol import Result
from fastrot.evaluation.scores import Scores, in_top
from fastrot.evaluation.trained import Trained, evaluating
from fastrot.tasks import ActionTask
from pipelines.errors import UsageError


@dataclass(frozen=True)
class ActionResult(Result):
    """Accuracies in 0..1: per clip, and per video from the mean softmax of its clips."""

    clip_top1: float
    clip_top5: float
    video_top1: float
    video_top5: float

    @property
    def accuracy(self) -> float:
        """The accuracy that selects the best network of a run."""
        return self.video_top1

    def findings(self) -> list[str]:
        """Return the accuracies and the protocol as lines to print."""
        return [
            f"per clip   top-1 {100 * self.clip_top1:.2f} %  top-5 {100 * self.clip_top5:.2f} %",
            f"per video  top-1 {100 * self.video_top1:.2f} %  top-5 {100 * self.video_top5:.2f} %",
            f"protocol: {self.protocol}; the score of a video is the mean softmax of its clips",
        ]


def score_action(trained: Trained, clips: ClipSet, runtime: Runtime) -> tuple[ActionResult, Scores]:
    """Classify a clip set with BatchNorm in eval mode; every process gets the whole result.

    Args:
        trained: A network of the action task.
        clips: Clips of labelled videos; the store must have the same classes as the network.
        runtime: The processes, which share the clips.

    Returns:
        The accuracies, and the scores of the readable videos in the order of the store.

    Raises:
        UsageError: The network has another task or other classes, the store lacks the split, or a video has
            no label.
        FastrotError: More videos are unreadable than ``data.broken_share`` tolerates.
    """
    task, store = trained.task, clips.store
    if not isinstance(task, ActionTask):
        raise UsageError(
            f"this network does not recognise actions: use `fastrot evaluate {task.measure}`"
        )
    if store.classes != task.classes:
        raise UsageError(
            f"the classes differ: the network was trained on {len(task.classes)} classes "
            f"({_some(task.classes)}), the store {store.path} has {len(store.classes)} "
            f"({_some(store.classes)}). Evaluate on a store with the training's classes."
        )
    reading = Reading(trained, clips, runtime, labelled=True)
    sums = reading.zeros(task.outputs + 2)  # softmax, then hits at 1 and 5
    with evaluating(trained.network):
        for rows, outputs, labels in reading.outputs("evaluate action"):
            softmax = outputs.softmax(dim=1)
            hits = torch.stack([in_top(softmax, labels, k) for k in (1, 5)], dim=1)
            sums.index_add_(0, rows, torch.cat([softmax, hits], dim=1))
    totals = reading.finish(sums)
    videos = totals.videos
    softmax, hits = torch.split(totals.sums, [task.outputs, 2], dim=1)
    clip_top1, clip_top5 = (hits.long().sum(dim=0) / (len(videos) * clips.per_video)).tolist()
    scores = Scores(
        names=[store.name(int(i)) for i in videos],
        labels=store.labels[videos],
        softmax=(softmax / clips.per_video).numpy(),
        classes=list(task.classes),
        protocol=str(totals.protocol),
    )
    result = ActionResult(
        clip_top1=clip_top1,
        clip_top5=clip_top5,
        video_top1=scores.top(1),
        video_top5=scores.top(5),
        protocol=totals.protocol,
        skipped=totals.skipped,
    )
    return result, scores


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
