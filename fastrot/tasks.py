"""The two tasks, each the way from a batch of clips to inputs, targets, loss and metric.

Training and evaluation are the same for both but for what stands here.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fastrot.config import Config, ModelConfig
from fastrot.models.network import Network, pretext_network, transfer_network
from fastrot.rotation.op import normalize, rotate
from fastrot.rotation.sets import RotationSet, rotation_set
from pipelines.errors import UsageError
from pipelines.loader import Batch


class Task(ABC):
    """What a network is trained for.

    Attributes:
        outputs: the network's outputs a clip.
        views: clips that the network sees for each clip of the batch.
        mean: of the pixels, per channel, in units where 255 is 1.
        std: in the same units.
    """

    def __init__(self, outputs: int, views: int, mean: Sequence[float], std: Sequence[float]):
        self.outputs = outputs
        self.views = views
        self.mean = mean
        self.std = std

    @abstractmethod
    def network(self, model: ModelConfig) -> Network:
        """Return a new network for the task, its weights drawn from torch's generator."""

    @abstractmethod
    def prepare(self, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return inputs (views * B, 3, T, H, W) in channels_last_3d and targets (views * B,) int64."""

    def upright(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        """Return the batch's clips as they are, normalised: (B, 3, T, H, W) in channels_last_3d."""
        return normalize(batch.clips, mean=self.mean, std=self.std, dtype=dtype)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss over the batch, a scalar: cross entropy (sections 3.3 and 4.2)."""
        return F.cross_entropy(outputs, targets)

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return how many of the batch are right, a scalar on the device."""
        return (outputs.argmax(dim=1) == targets).sum()


class RotationTask(Task):
    """The pretext task: every clip in all its rotations at once, told apart (section 3.3)."""

    def __init__(self, rotations: RotationSet, mean: Sequence[float], std: Sequence[float]):
        super().__init__(len(rotations), len(rotations), mean, std)
        self.rotations = rotations

    def network(self, model: ModelConfig) -> Network:
        """Return a network with the pretext head."""
        return pretext_network(
            self.outputs, depth=model.depth, width=model.width, shortcut=model.shortcut
        )

    def prepare(self, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Rotate; the order is rotation-major: row r * B + b is rotation r of clip b."""
        inputs = rotate(batch.clips, self.rotations, mean=self.mean, std=self.std, dtype=dtype)
        return inputs, self.rotations.labels(len(batch.clips), batch.clips.device)


class ActionTask(Task):
    """Action recognition: which of the store's classes is it?"""

    def __init__(self, classes: Sequence[str], mean: Sequence[float], std: Sequence[float]):
        super().__init__(len(classes), 1, mean, std)
        self.classes = list(classes)

    def network(self, model: ModelConfig) -> Network:
        """Return a network with the transfer head."""
        return transfer_network(
            self.outputs, depth=model.depth, width=model.width, shortcut=model.shortcut
        )

    def prepare(self, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Normalise; the targets are the videos' labels."""
        return self.upright(batch, dtype), batch.labels


def make_task(config: Config, classes: Sequence[str]) -> Task:
    """Return the config's task; ``classes`` are those of the store, and serve the action task.

    Raises:
        UsageError: the rotations are no known set, or the store has no classes.
    """
    mean, std = config.data.statistics
    if config.task == "rotation":
        try:
            return RotationTask(rotation_set(config.rotation.degrees), mean, std)
        except UsageError as error:
            raise UsageError(f"rotation.degrees: {error}") from None
    if len(classes) < 2:
        raise UsageError(
            f"the store {config.data.store} has no action labels: prepare it with a layout that has "
            "classes, such as --layout ucf101, or a folder with one sub-folder per class"
        )
    return ActionTask(classes, mean, std)
