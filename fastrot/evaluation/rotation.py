"""Rotation accuracy: how well does the network recognise the rotations of unseen videos? (section 4.3)"""

from dataclasses import dataclass

import torch

from fastrot.clips import select_videos
from fastrot.evaluation.trained import Protocol, Trained, each_output, evaluating, protocol
from fastrot.runtime import Runtime
from fastrot.tasks import RotationTask
from pipelines.errors import UsageError
from pipelines.store import Store


@dataclass(frozen=True)
class RotationResult:
    """Accuracies in 0..1 over every rotation of every clip.

    ``confusion[i][j]`` counts clips of rotation ``degrees[i]`` taken for ``degrees[j]``.
    """

    accuracy: float
    per_class: list[float]
    degrees: list[int]
    confusion: list[list[int]]
    clips: int
    protocol: Protocol

    def lines(self) -> list[str]:
        """Return what to print, the protocol included."""
        each = ", ".join(
            f"{turn} deg {100 * accuracy:.1f} %"
            for turn, accuracy in zip(self.degrees, self.per_class, strict=True)
        )
        return [
            f"rotation accuracy {100 * self.accuracy:.2f} % ({each})",
            f"protocol: {self.protocol}; {self.clips} clips in {len(self.degrees)} rotations",
        ]


def evaluate_rotation(
    trained: Trained,
    store: Store,
    split: str,
    runtime: Runtime,
    *,
    clips_per_video: int = 1,
    batch: int = 16,
    quiet: bool = False,
) -> RotationResult:
    """Classify all rotations of deterministic centre clips, BatchNorm in eval mode.

    Args:
        trained: a network of the rotation task.
        store: where the clips are.
        split: which of its videos.
        runtime: every process of it takes a share, and gets the whole result.
        clips_per_video: uniform clips of each video; one is the middle.
        batch: clips at a time and process, before rotation.
        quiet: show no progress.

    Raises:
        UsageError: the network is of another task, or the store lacks the split.
    """
    task = trained.task
    if not isinstance(task, RotationTask):
        raise UsageError(f"this network tells no rotations: use `fastrot evaluate {task.measure}`")
    videos = select_videos(store, split, labelled=False, shots=0, seed=0)
    classes = len(task.rotations)
    confusion = torch.zeros(classes * classes, dtype=torch.int64, device=runtime.device)
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
            cells = targets * classes + outputs.argmax(dim=1)
            confusion += torch.bincount(cells, minlength=classes * classes)
    counts = runtime.all_sum(confusion).view(classes, classes).cpu()
    right = counts.diagonal()
    return RotationResult(
        accuracy=float(right.sum() / counts.sum()),
        per_class=(right / counts.sum(dim=1)).tolist(),
        degrees=list(task.rotations.degrees),
        confusion=counts.tolist(),
        clips=len(videos) * clips_per_video,
        protocol=protocol(trained, store, split, videos, clips_per_video=clips_per_video),
    )
