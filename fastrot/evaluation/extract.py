"""Feature vectors of the videos of a store, in one file for other tools."""

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastrot.config import Config, DataConfig
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.features import block_features, block_index
from fastrot.evaluation.trained import Trained, trained_of
from fastrot.evaluation.unreadable import Skipped
from fastrot.models.backbone import load_backbone
from fastrot.models.network import copy_backbone
from fastrot.runs.checkpoint import FORMAT, load_plain
from fastrot.tasks import make_task
from pipelines.files import write_file


@dataclass(frozen=True)
class Features:
    """Features of videos, with rows in the order of the store.

    Attributes:
        features: (videos, channels) float32.
        names: (videos,) names in the store.
        labels: (videos,) int64, -1 for unlabelled videos.
        classes: Names of the labels.
        protocol: How the features were computed.
        skipped: Unreadable videos of the split, which have no row.
    """

    features: NDArray[np.float32]
    names: list[str]
    labels: NDArray[np.int64]
    classes: list[str]
    protocol: str
    skipped: list[Skipped] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write an ``.npz`` file without pickled objects.

        Raises:
            FastrotError: The file cannot be written.
        """
        buffer = io.BytesIO()
        np.savez(
            buffer,
            features=self.features,
            names=np.array(self.names, dtype=np.str_),
            labels=self.labels,
            classes=np.array(self.classes, dtype=np.str_),
            protocol=np.array(self.protocol),
            skipped=np.array([each.video for each in self.skipped], dtype=np.str_),
        )
        write_file(path, buffer.getvalue())


def extract(
    checkpoint: Path,
    clips: ClipSet,
    runtime: Runtime,
    *,
    block: str,
    trained_on: DataConfig | None = None,
) -> Features:
    """Compute the features of the videos of a split, averaged over clips; every process gets all of them.

    Args:
        checkpoint: A checkpoint, or any file that ``load_backbone`` reads.
        clips: The clips to compute features of.
        runtime: The processes, which share the clips.
        block: One of the five convolution blocks.
        trained_on: As in ``load_backbone``.

    Raises:
        UsageError: There is no such block or split, ``trained_on`` is missing, or it is superfluous.
        FastrotError: The file cannot be read, the frames of the store are smaller than the clips, or more
            videos are unreadable than ``data.broken_share`` tolerates.
    """
    index = block_index(block)
    found = block_features(_load(checkpoint, runtime, trained_on), clips, runtime)
    return Features(
        features=found.blocks[index].numpy(),
        names=[clips.store.name(int(i)) for i in found.videos],
        labels=found.labels.numpy(),
        classes=clips.store.classes,
        protocol=f"{block} of {checkpoint}: {found.protocol}",
        skipped=found.skipped,
    )


def _load(path: Path, runtime: Runtime, trained_on: DataConfig | None) -> Trained:
    """Load a checkpoint, or a bare backbone as a pretext network whose head is not used."""
    if path.suffix != ".safetensors":
        values = load_plain(path)
        if isinstance(values, dict) and values.get("format") == FORMAT and trained_on is None:
            return trained_of(values, path, runtime)
    backbone = load_backbone(path, trained_on=trained_on)
    config = Config(data=backbone.data, model=backbone.model)
    task = make_task(config, [])
    network = task.network(config.model)
    copy_backbone(network, backbone.state_dict())
    runtime.place(network)
    return Trained(network, task, config)
