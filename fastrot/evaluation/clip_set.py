"""The clips of an evaluation, and a pass of a network over them that sums results per video."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from fastrot.config import Config
from fastrot.config.schema import SCRATCH
from fastrot.data.loaders import eval_loader
from fastrot.data.selection import Ints, select_videos
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.protocol import Protocol
from fastrot.evaluation.scramble import Scramble
from fastrot.evaluation.trained import Trained
from fastrot.evaluation.unreadable import Skipped, settle
from fastrot.terminal import console
from pipelines.loading.batches import Batch
from pipelines.loading.replacement import Replaced
from pipelines.store.reading import Store


@dataclass(frozen=True)
class ClipSet:
    """Uniformly spaced, centre-cropped clips of the videos of a split.

    Attributes:
        store: The store of the videos.
        split: The split; "all" for all videos.
        per_video: Clips per video; a single clip is taken from the middle.
        batch: Clips per batch and process, before rotation.
        quiet: Show no progress.
        scramble: How the network's clips are scrambled; None for not at all.
    """

    store: Store
    split: str
    per_video: int = 1
    batch: int = 16
    quiet: bool = False
    scramble: Scramble | None = None


@dataclass(frozen=True)
class Totals:
    """Sums over all clips of each readable video, of all processes.

    Attributes:
        videos: N indices in the store, ascending int64.
        sums: (N, ...) on the CPU.
        protocol: How they were measured.
        skipped: The unreadable videos.
    """

    videos: Ints
    sums: Tensor
    protocol: Protocol
    skipped: list[Skipped]


class Reading:
    """One pass of a network over a clip set, which sums values per video.

    Args:
        trained: The network, its task and its config.
        clips: The clips to read.
        runtime: The processes, each of which reads a share of the clips.
        labelled: Whether all videos need a label.
        shots: Videos per class, drawn with the seed of the config; 0 for all.

    Raises:
        UsageError: The store lacks the split or a label, or a class has too few videos.
    """

    def __init__(
        self,
        trained: Trained,
        clips: ClipSet,
        runtime: Runtime,
        *,
        labelled: bool = False,
        shots: int = 0,
    ):
        self._trained, self._clips, self._runtime = trained, clips, runtime
        self._videos = select_videos(
            clips.store, clips.split, labelled=labelled, shots=shots, seed=trained.config.seed
        )
        self._unread: list[Replaced] = []
        self._most_rows = 0

    def zeros(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return zeros on the device to sum into, (videos, *shape)."""
        return torch.zeros(len(self._videos), *shape, dtype=dtype, device=self._runtime.device)

    def batches(self, what: str) -> Iterator[tuple[Tensor, Batch]]:
        """Yield pairs of the rows of the sums, (B,) int64, and a batch of this process.

        Progress is displayed under the name ``what``. Unreadable clips are skipped.
        """
        clips, runtime = self._clips, self._runtime
        loader, count = eval_loader(
            self._trained.config.data,
            clips.store,
            self._videos,
            runtime,
            clips_per_video=clips.per_video,
            batch=clips.batch,
            skip=True,
        )
        shown = runtime.is_main and not clips.quiet
        with loader, console.progress(count, what, "clips", shown=shown) as advance:
            for loaded in loader:
                rows = torch.from_numpy(loaded.samples // clips.per_video)
                if clips.scramble is not None:
                    seed = self._trained.config.seed
                    loaded = replace(loaded, clips=clips.scramble.apply(loaded, seed))
                yield rows.to(runtime.device), loaded
                advance(len(loaded.samples))
            self._unread += loader.take_replaced()

    def outputs(self, what: str) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield the rows, the float32 outputs of the network and the targets of each batch.

        All are view-major, like the inputs of the task: row v * B + b is view v of clip b.
        """
        runtime = self._runtime
        for rows, loaded in self.batches(what):
            inputs, targets = self._trained.task.prepare(loaded, runtime.dtype)
            padded = self.padded(inputs)
            with runtime.autocast():
                outputs = self._trained.network(padded)[: len(inputs)]
            yield rows.repeat(len(targets) // len(rows)), outputs.float(), targets

    def padded(self, inputs: Tensor) -> Tensor:
        """Add rows of zeros to a short batch, as the last one is, if a new shape costs a search for kernels.

        In eval mode, the rows do not influence each other.

        Args:
            inputs: (N, C, T, H, W) in channels_last_3d memory.

        Returns:
            The inputs, followed by zeros up to the size of the largest batch of this pass so far.
        """
        self._most_rows = max(self._most_rows, len(inputs))
        missing = self._most_rows - len(inputs)
        if not missing or not self._runtime.searches_kernels:
            return inputs
        rows = F.pad(inputs.permute(0, 2, 3, 4, 1), (*[0] * 9, missing))
        return rows.permute(0, 4, 1, 2, 3)

    def finish(self, sums: Tensor) -> Totals:
        """Add the sums of all processes, and leave out videos that are not completely readable.

        Raises:
            FastrotError: More videos are unreadable than ``data.broken_share`` tolerates.
        """
        kept, skipped = settle(
            self._unread,
            self._runtime,
            share=self._trained.config.data.broken_share,
            videos=len(self._videos),
            clips_per_video=self._clips.per_video,
        )
        sums = self._runtime.all_sum(sums).cpu()[kept]
        return Totals(self._videos[kept], sums, self._protocol(len(kept)), skipped)

    def _protocol(self, videos: int) -> Protocol:
        clips, data = self._clips, self._trained.config.data
        return Protocol(
            store=str(clips.store.path),
            split=clips.split,
            videos=videos,
            clips_per_video=clips.per_video,
            frames=data.frames,
            stride=data.stride,
            modality=data.modality,
            crop=data.crop,
            size=clips.store.size,
            weights=_trained_weights(self._trained.config),
            camera_motion=data.camera_motion,
            dead_zone=data.dead_zone,
            scramble=str(clips.scramble or ""),
        )


def _trained_weights(config: Config) -> str:
    if config.model.freeze:
        return f"first {config.model.freeze} of 5 convolution blocks frozen"
    return "all weights trained from scratch" if config.init == SCRATCH else "full fine-tuning"
