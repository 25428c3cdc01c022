"""Action recognition (section 3.4): top-1 and top-5, per clip and per video."""

from dataclasses import dataclass, field

import torch

from fastrot.data.selection import select_videos
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.scores import Scores, in_top
from fastrot.evaluation.trained import Protocol, Trained, each_output, evaluating, protocol
from fastrot.evaluation.unreadable import Skipped, settle, skipped_lines
from fastrot.tasks import ActionTask
from pipelines.errors import UsageError
from pipelines.loading.replacement import Replaced
from pipelines.store.reading import Store


@dataclass(frozen=True)
class ActionResult:
    """Accuracies in 0..1: of single clips, and of videos by the average of their clips' softmax.

    ``skipped`` videos could not be read, and count nowhere.
    """

    clip_top1: float
    clip_top5: float
    video_top1: float
    video_top5: float
    protocol: Protocol
    skipped: list[Skipped] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return what to print, the protocol included."""
        return [
            f"per clip   top-1 {100 * self.clip_top1:.2f} %  top-5 {100 * self.clip_top5:.2f} %",
            f"per video  top-1 {100 * self.video_top1:.2f} %  top-5 {100 * self.video_top5:.2f} %",
            f"protocol: {self.protocol}; a video's score is the mean of its clips' softmax",
            *skipped_lines(self.skipped),
        ]


def score_action(
    trained: Trained,
    store: Store,
    split: str,
    runtime: Runtime,
    *,
    clips_per_video: int = 10,
    batch: int = 16,
    quiet: bool = False,
) -> tuple[ActionResult, Scores]:
    """Classify uniform centre clips of each video, BatchNorm in eval mode.

    Args:
        trained: a network of the action task.
        store: where the clips are; its classes must be those of the network.
        split: which of its videos, all labelled.
        runtime: every process of it takes a share, and gets the whole result.
        clips_per_video: uniform clips of each video.
        batch: clips at a time and process.
        quiet: show no progress.

    Returns:
        The accuracies, and the scores of the videos that can be read, in the store's order.

    Raises:
        UsageError: the network is of another task or has other classes, the store lacks the split,
            or a video has no label.
        FastrotError: more videos cannot be read than data.broken_share tolerates.
    """
    task = trained.task
    if not isinstance(task, ActionTask):
        raise UsageError(
            f"this network recognises no actions: use `fastrot evaluate {task.measure}`"
        )
    if store.classes != task.classes:
        raise UsageError(
            f"the network was trained on {len(task.classes)} classes ({_some(task.classes)}), the store "
            f"{store.path} has {len(store.classes)} ({_some(store.classes)}): they must be the same"
        )
    videos = select_videos(store, split, labelled=True, shots=0, seed=0)
    # Sums over the clips of each video; a video may be shared by two processes.
    sums = torch.zeros(len(videos), task.outputs, device=runtime.device)
    hits = torch.zeros(len(videos), 2, dtype=torch.int64, device=runtime.device)
    unread: list[Replaced] = []
    with evaluating(trained.network):
        for loaded, outputs, labels in each_output(
            trained,
            store,
            videos,
            runtime,
            clips_per_video=clips_per_video,
            batch=batch,
            what="evaluate action",
            quiet=quiet,
            unread=unread,
        ):
            softmax = outputs.softmax(dim=1)
            rows = torch.from_numpy(loaded.samples // clips_per_video).to(runtime.device)
            sums.index_add_(0, rows, softmax)
            right = torch.stack([in_top(softmax, labels, k) for k in (1, 5)], dim=1)
            hits.index_add_(0, rows, right.long())
    kept, skipped = settle(
        unread,
        runtime,
        share=trained.config.data.broken_share,
        videos=len(videos),
        clips_per_video=clips_per_video,
    )
    videos = videos[kept]
    of_clips = runtime.all_sum(hits).cpu()[kept].sum(dim=0) / (len(videos) * clips_per_video)
    clip_top1, clip_top5 = of_clips.tolist()
    measured = protocol(trained, store, split, videos, clips_per_video=clips_per_video)
    scores = Scores(
        names=[store.name(int(i)) for i in videos],
        labels=store.labels[videos],
        softmax=(runtime.all_sum(sums).cpu()[kept] / clips_per_video).numpy(),
        classes=list(task.classes),
        protocol=str(measured),
    )
    result = ActionResult(
        clip_top1=clip_top1,
        clip_top5=clip_top5,
        video_top1=scores.top(1),
        video_top5=scores.top(5),
        protocol=measured,
        skipped=skipped,
    )
    return result, scores


def evaluate_action(
    trained: Trained,
    store: Store,
    split: str,
    runtime: Runtime,
    *,
    clips_per_video: int = 10,
    batch: int = 16,
    quiet: bool = False,
) -> ActionResult:
    """Return the accuracies of ``score_action`` alone."""
    result, _ = score_action(
        trained,
        store,
        split,
        runtime,
        clips_per_video=clips_per_video,
        batch=batch,
        quiet=quiet,
    )
    return result


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
