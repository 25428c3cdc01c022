"""Rotation accuracy: how well does the network recognise the rotations of unseen videos? (section 4.3)"""

from dataclasses import dataclass, field

import torch

from fastrot.data.selection import select_videos
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.trained import Protocol, Trained, each_output, evaluating, protocol
from fastrot.evaluation.unreadable import Skipped, settle, skipped_lines
from fastrot.tasks import RotationTask
from pipelines.errors import UsageError
from pipelines.loading.replacement import Replaced
from pipelines.store.reading import Store


@dataclass(frozen=True)
class RotationResult:
    """Accuracies in 0..1 over every rotation of every clip.

    ``confusion[i][j]`` counts clips of rotation ``degrees[i]`` taken for ``degrees[j]``.
    ``skipped`` videos could not be read, and count nowhere.
    """

    accuracy: float
    per_class: list[float]
    degrees: list[int]
    confusion: list[list[int]]
    clips: int
    protocol: Protocol
    skipped: list[Skipped] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return what to print, the protocol included."""
        each = ", ".join(
            f"{turn} deg {100 * accuracy:.1f} %"
            for turn, accuracy in zip(self.degrees, self.per_class, strict=True)
        )
        return [
            f"rotation accuracy {100 * self.accuracy:.2f} % ({each})",
            f"protocol: {self.protocol}; {self.clips} clips in {len(self.degrees)} rotations",
            *skipped_lines(self.skipped),
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
        FastrotError: more videos cannot be read than data.broken_share tolerates.
    """
    task = trained.task
    if not isinstance(task, RotationTask):
        raise UsageError(f"this network tells no rotations: use `fastrot evaluate {task.measure}`")
    videos = select_videos(store, split, labelled=False, shots=0, seed=0)
    classes = len(task.rotations)
    # A row for each video, since one that cannot be read to its end must not count.
    cells = torch.zeros(len(videos) * classes**2, dtype=torch.int64, device=runtime.device)
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
            # Outputs are rotation-major: all clips in one rotation, then all in the next.
            found = (rows.repeat(classes) * classes + targets) * classes + outputs.argmax(dim=1)
            cells.index_add_(0, found, torch.ones_like(found))
    kept, skipped = settle(
        unread,
        runtime,
        share=trained.config.data.broken_share,
        videos=len(videos),
        clips_per_video=clips_per_video,
    )
    videos = videos[kept]
    counts = runtime.all_sum(cells).cpu().view(-1, classes, classes)[kept].sum(dim=0)
    right = counts.diagonal()
    return RotationResult(
        accuracy=float(right.sum() / counts.sum()),
        per_class=(right / counts.sum(dim=1)).tolist(),
        degrees=list(task.rotations.degrees),
        confusion=counts.tolist(),
        clips=len(videos) * clips_per_video,
        protocol=protocol(trained, store, split, videos, clips_per_video=clips_per_video),
        skipped=skipped,
    )
