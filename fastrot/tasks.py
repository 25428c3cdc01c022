"""The two tasks, each the way from a batch of clips to inputs, targets, loss and metric.

Training and evaluation are the same for both but for what stands here.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fastrot.config import Config, ModelConfig
from fastrot.models.network import Network, pretext_network, transfer_network
from fastrot.rotation.angles import inscribed_size, rotate_all, rotate_each
from fastrot.rotation.op import normalize, rotate
from fastrot.rotation.sets import RotationSet, rotation_set
from pipelines.errors import UsageError
from pipelines.loader import Batch
from pipelines.plan import hash_below

_ANGLE = 16  # this choice's stream of hashes, beside those of the clip plan


class Task(ABC):
    """What a network is trained for.

    Attributes:
        outputs: the network's outputs a clip.
        views: clips that the network sees for each clip of the batch.
        mean: of the pixels, per channel, in units where 255 is 1.
        std: in the same units.
        channels: of the network's inputs: 3, or 4 or 8 of which those beyond the colours are zero.
    """

    def __init__(self, outputs: int, views: int, mean: Sequence[float], std: Sequence[float]):
        self.outputs = outputs
        self.views = views
        self.mean = mean
        self.std = std
        self.channels = 3

    @property
    def answer(self) -> str:
        """What the network is asked for, in words."""
        return f"{self.outputs} classes"

    @abstractmethod
    def network(self, model: ModelConfig) -> Network:
        """Return a new network for the task, its weights drawn from torch's generator."""

    @abstractmethod
    def prepare(self, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return inputs (views * B, channels, T, H, W) in channels_last_3d and targets (views * B,) int64."""

    def input_size(self, crop: int) -> int:
        """Return the side of the network's inputs in pixels, from that of the clips."""
        return crop

    def upright(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        """Return the batch's clips as they are, normalised: (B, channels, T, H, W) in channels_last_3d."""
        return normalize(
            batch.clips, mean=self.mean, std=self.std, dtype=dtype, channels=self.channels
        )

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss over the batch, a scalar: cross entropy (sections 3.3 and 4.2)."""
        return F.cross_entropy(outputs, targets)

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return how many of the batch count as right, a scalar on the device."""
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
        labels = self.rotations.labels(len(batch.clips), batch.clips.device)
        how: dict[str, Any] = {
            "mean": self.mean,
            "std": self.std,
            "dtype": dtype,
            "channels": self.channels,
        }
        if self.rotations.exact:
            return rotate(batch.clips, self.rotations, **how), labels
        return rotate_all(batch.clips, self.rotations.degrees, **how), labels

    def input_size(self, crop: int) -> int:
        """Return the side of what is left of a clip in every rotation."""
        return crop if self.rotations.exact else inscribed_size(crop)


class RegressionTask(Task):
    """The pretext task with a continuous answer: any of 360 degrees (eq. 1 and section 4.6).

    The network has one output. The circle is scaled to [-1, 1): the target of an angle d is
    d / 180 - 1, so 0 degrees is -1 and 180 is 0 (the paper leaves the scale open). The loss is eq. 1 as
    it stands, squared or absolute, without wrapping around; errors are reported around the circle.
    A clip is seen in ``views`` rotations by whole degrees, drawn by a hash of its sample's number.
    """

    RIGHT_WITHIN = 22.5
    """Degrees of error up to which an answer counts as right: the width of the eight classes."""

    def __init__(
        self, loss: str, views: int, seed: int, mean: Sequence[float], std: Sequence[float]
    ):
        super().__init__(1, views, mean, std)
        self._loss = F.l1_loss if loss == "l1" else F.mse_loss
        self._seed = seed

    @property
    def answer(self) -> str:
        """What the network is asked for, in words."""
        return "an angle"

    def network(self, model: ModelConfig) -> Network:
        """Return a network with the pretext head."""
        return pretext_network(
            self.outputs, depth=model.depth, width=model.width, shortcut=model.shortcut
        )

    def prepare(self, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Rotate every clip by its own angles; targets are (views * B,) float32 in [-1, 1)."""
        degrees = self._degrees(batch.samples)
        inputs = rotate_each(
            batch.clips,
            degrees,
            mean=self.mean,
            std=self.std,
            dtype=dtype,
            channels=self.channels,
        )
        targets = (degrees / 180 - 1).flatten()
        return inputs, targets.to(batch.clips.device, non_blocking=True)

    def input_size(self, crop: int) -> int:
        """Return the side of what is left of a clip in every rotation."""
        return inscribed_size(crop)

    def _degrees(self, samples: NDArray[np.int64]) -> Tensor:
        """Return (views, B) float32 whole degrees, on the CPU."""
        sample, view = np.broadcast_arrays(samples[None], np.arange(self.views)[:, None])
        turns = np.full(view.shape, 360)
        return torch.from_numpy(hash_below(self._seed, _ANGLE, view, sample, turns)).float()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return eq. 1 over the batch, a scalar."""
        return self._loss(outputs[:, 0].float(), targets)

    def degrees_of(self, values: Tensor) -> Tensor:
        """Return the angles in [0, 360) that outputs or targets stand for."""
        return ((values + 1) * 180) % 360

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return each answer's error around the circle in degrees, 0 to 180, (N,)."""
        away = (self.degrees_of(outputs[:, 0].float()) - self.degrees_of(targets)).abs()
        return torch.minimum(away, 360 - away)

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return how many answers are within 22.5 degrees."""
        return (self.errors(outputs, targets) <= self.RIGHT_WITHIN).sum()


class ActionTask(Task):
    """Action recognition: which of the store's classes is it?"""

    def __init__(
        self,
        classes: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        label_smoothing: float = 0.0,
    ):
        super().__init__(len(classes), 1, mean, std)
        self.classes = list(classes)
        self._label_smoothing = label_smoothing

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross entropy, with smoothed labels where the config says so."""
        return F.cross_entropy(outputs, targets, label_smoothing=self._label_smoothing)

    def network(self, model: ModelConfig) -> Network:
        """Return a network with the transfer head."""
        return transfer_network(
            self.outputs,
            depth=model.depth,
            width=model.width,
            shortcut=model.shortcut,
            dropout=model.dropout,
        )

    def prepare(self, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Normalise; the targets are the videos' labels."""
        return self.upright(batch, dtype), batch.labels


def make_task(config: Config, classes: Sequence[str]) -> Task:
    """Return the config's task; ``classes`` are those of the store, and serve the action task.

    Raises:
        UsageError: the rotations are no known set, or the store has no classes.
    """
    task = _make_task(config, classes)
    task.channels = config.model.stem_channels
    return task


def _make_task(config: Config, classes: Sequence[str]) -> Task:
    mean, std = config.data.statistics
    if config.task == "rotation":
        if config.rotation.kind == "regress":
            return RegressionTask(
                config.rotation.loss, config.rotation.views, config.seed, mean, std
            )
        try:
            return RotationTask(rotation_set(config.rotation.degrees), mean, std)
        except UsageError as error:
            raise UsageError(f"rotation.degrees: {error}") from None
    if len(classes) < 2:
        raise UsageError(
            f"the store {config.data.store} has no action labels: prepare it with a layout that has "
            "classes, such as --layout ucf101, or a folder with one sub-folder per class"
        )
    return ActionTask(classes, mean, std, config.train.label_smoothing)
