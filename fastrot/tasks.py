"""The tasks (section 3.1): from a batch of clips to inputs, targets, loss and metric.

Training and evaluation are the same for all but for what stands here. A task is a class that is made as
``Class(config, classes)``; the config names one of ``TASKS``, or one of the user's own as ``module:Class``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fastrot.config import Config, ModelConfig
from fastrot.config.importing import failed, import_class
from fastrot.models.network import Network, pretext_network, transfer_network
from fastrot.rotation.angles import inscribed_size, rotate_all, rotate_each
from fastrot.rotation.op import normalize, quarter_turns
from fastrot.rotation.pixels import Pixels
from fastrot.rotation.sets import RotationSet, rotation_set
from pipelines.errors import FastrotError, UsageError
from pipelines.loading.batches import Batch
from pipelines.plan import hash_below

_ANGLE = 16  # this choice's stream of hashes, beside those of the clip plan


class Task(ABC):
    """What a network is trained for.

    A task of one's own derives from this one, takes ``(config, classes)`` (the run's ``Config``, and the
    names of the store's classes), and gives ``network`` and ``prepare``; the rest has defaults.

    Attributes:
        measure: the measure of ``fastrot evaluate`` for its networks.
        outputs: the network's outputs a clip.
        views: clips that the network sees for each clip of the batch.
    """

    measure: ClassVar[str] = "pretext"

    def __init__(self, config: Config, *, outputs: int, views: int):
        self.outputs = outputs
        self.views = views
        self._statistics = config.data.statistics
        self._channels = config.model.stem_channels

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

    def pixels(self, dtype: torch.dtype) -> Pixels:
        """Return how clips become inputs of the network, by the config's statistics and channels."""
        return Pixels(*self._statistics, dtype, self._channels)

    def upright(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        """Return the batch's clips as they are, normalised: (B, channels, T, H, W) in channels_last_3d."""
        return normalize(batch.clips, self.pixels(dtype))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss over the batch, a scalar: cross entropy (sections 3.3 and 4.2)."""
        return F.cross_entropy(outputs, targets)

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return how many of the batch count as right, a scalar on the device."""
        return (outputs.argmax(dim=1) == targets).sum()


class RotationTask(Task):
    """The pretext task: every clip in all its rotations at once, told apart (section 3.3).

    Raises:
        UsageError: the rotations are no known set.
    """

    measure = "rotation"

    def __init__(self, config: Config, classes: Sequence[str]):
        try:
            self.rotations: RotationSet = rotation_set(config.rotation.degrees)
        except UsageError as error:
            raise UsageError(f"rotation.degrees: {error}") from None
        super().__init__(config, outputs=len(self.rotations), views=len(self.rotations))

    def network(self, model: ModelConfig) -> Network:
        """Return a network with the pretext head."""
        return pretext_network(
            self.outputs, depth=model.depth, width=model.width, shortcut=model.shortcut
        )

    def prepare(self, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Rotate; the order is rotation-major: row r * B + b is rotation r of clip b."""
        labels = self.rotations.labels(len(batch.clips), batch.clips.device)
        turn = quarter_turns if self.rotations.exact else rotate_all
        return turn(batch.clips, self.rotations.degrees, self.pixels(dtype)), labels

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

    measure = "rotation"

    def __init__(self, config: Config, classes: Sequence[str]):
        super().__init__(config, outputs=1, views=config.rotation.views)
        self._loss = F.l1_loss if config.rotation.loss == "l1" else F.mse_loss
        self._seed = config.seed

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
        inputs = rotate_each(batch.clips, degrees, self.pixels(dtype))
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
    """Action recognition: which of the store's classes is it?

    Raises:
        UsageError: the store has no classes.
    """

    measure = "action"

    def __init__(self, config: Config, classes: Sequence[str]):
        if len(classes) < 2:
            raise UsageError(
                f"the store {config.data.store} has no action labels: prepare it with a layout that has "
                "classes, such as --layout ucf101, or a folder with one sub-folder per class"
            )
        super().__init__(config, outputs=len(classes), views=1)
        self.classes = list(classes)
        self._label_smoothing = config.train.label_smoothing

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


def _rotation(config: Config, classes: Sequence[str]) -> Task:
    kind = RegressionTask if config.rotation.kind == "regress" else RotationTask
    return kind(config, classes)


TASKS: dict[str, Callable[[Config, Sequence[str]], Task]] = {
    "rotation": _rotation,
    "action": ActionTask,
}
"""The tasks that come with fastrot, by the names that ``BUILT_IN_TASKS`` of the schema lists."""


def make_task(config: Config, classes: Sequence[str]) -> Task:
    """Return the config's task; ``classes`` are those of the store.

    A task of the user's own is imported first, which runs its module's code.

    Raises:
        UsageError: there is no such task, or the config or the classes do not suit it.
        FastrotError: the code of the user's own task fails.
    """
    if config.task in TASKS:
        return TASKS[config.task](config, classes)
    own: Callable[[Config, Sequence[str]], Task] = import_class(config.task, Task, "task")  # type: ignore[type-abstract]
    try:
        return own(config, classes)
    except FastrotError:
        raise
    except Exception as error:
        raise failed(
            error, f"task is {config.task}: making it as Class(config, classes) failed"
        ) from None
