"""The tasks (section 3.1): from a batch of clips to inputs, targets, loss and metric.

Everything that differs between tasks in training and evaluation is in this file. A task is a class that is
created as ``Class(config, classes)``. The config names one of ``TASKS``, or a custom one as ``module:Class``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from fastrot.config import Config, ModelConfig
from fastrot.config.importing import failed, import_class
from fastrot.models.network import Network, TwoHeads, pretext_network, transfer_network
from fastrot.rotation.angles import inscribed_size, rotate_all, rotate_each
from fastrot.rotation.op import normalize, quarter_turns
from fastrot.rotation.pixels import Pixels
from fastrot.rotation.sets import RotationSet, rotation_set
from pipelines.errors import FastrotError, UsageError
from pipelines.hashing import Stream, hash_below
from pipelines.loading.batches import Batch


class Task(ABC):
    """Base class of the tasks a network is trained on.

    A custom task derives from this class, takes ``(config, classes)`` (the run's ``Config`` and the names of
    the store's classes), and implements ``network`` and ``prepare``. Everything else has defaults.

    Attributes:
        measure: The measure of ``fastrot evaluate`` for networks of this task.
        outputs: Network outputs per clip.
        views: Clips that the network sees for each clip of the batch.
        further: Names of further questions, whose accuracies training logs next to that of ``correct``.
    """

    measure: ClassVar[str] = "pretext"
    further: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: Config, *, outputs: int, views: int):
        self.outputs = outputs
        self.views = views
        self._statistics = config.data.statistics
        self._channels = config.model.stem_channels

    @property
    def answer(self) -> str:
        """Short description of what the network predicts."""
        return f"{self.outputs} classes"

    @abstractmethod
    def network(self, model: ModelConfig) -> Network:
        """Return a new network for the task, randomly initialised from torch's generator."""

    @abstractmethod
    def prepare(self, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return inputs (views * B, channels, T, H, W) in channels_last_3d and targets (views * B,) int64."""

    def input_size(self, crop: int) -> int:
        """Return the side of the network's inputs in pixels, given the side of the clips."""
        return crop

    def pixels(self, dtype: torch.dtype) -> Pixels:
        """Return the conversion from clips to network inputs (the config's statistics and channels)."""
        return Pixels(*self._statistics, dtype, self._channels)

    def upright(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        """Return the unrotated clips, normalised: (B, channels, T, H, W) in channels_last_3d."""
        return normalize(batch.clips, self.pixels(dtype))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss over the batch, a scalar: cross entropy (sections 3.3 and 4.2)."""
        return F.cross_entropy(outputs, targets)

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the number of correct predictions in the batch, a scalar on the device."""
        return (outputs.argmax(dim=1) == targets).sum()

    def correct_further(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return (correct predictions, predictions) of each of ``further``, (len(further), 2)."""
        raise NotImplementedError(f"{type(self).__name__} has further questions but does not count")


class RotationTask(Task):
    """The pretext task: classify the rotation of a clip, with all rotations in one batch (section 3.3).

    Raises:
        UsageError: The rotations are not a known set.
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
            len(self.rotations), depth=model.depth, width=model.width, shortcut=model.shortcut
        )

    def prepare(self, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Rotate; the order is rotation-major: row r * B + b is rotation r of clip b."""
        labels = self.rotations.labels(len(batch.clips), batch.clips.device)
        turn = quarter_turns if self.rotations.exact else rotate_all
        return turn(batch.clips, self.rotations.degrees, self.pixels(dtype)), labels

    def input_size(self, crop: int) -> int:
        """Return the side of the square that is inside the clip in every rotation."""
        return crop if self.rotations.exact else inscribed_size(crop)

    def rotation_of(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (N, rotations) and the targets (N,) of the rotation alone."""
        return outputs, targets


class SpeedTask(RotationTask):
    """Rotation and playback speed as one pretext task, from one batch (ours, not the paper's).

    Every clip is played at a speed that the plan draws, and shown in all rotations. A second linear head
    classifies the speed. The loss is the cross entropy of the rotation plus ``rotation.speed_weight`` times
    that of the speed. Recognising the playback speed is the pretext task of SpeedNet (Benaim et al., arXiv
    2004.06130) and PRP (Yao et al., arXiv 2006.11476).

    A clip without a speed (-1, of a video that is too short) adds 0 to the speed's loss, and the mean is
    over all clips: micro-batches then average to the loss of the whole batch.
    """

    further = ("speed",)

    def __init__(self, config: Config, classes: Sequence[str]):
        super().__init__(config, classes)
        self.speeds = list(config.rotation.speeds)
        self.outputs += len(self.speeds)
        self._weight = config.rotation.speed_weight

    @property
    def answer(self) -> str:
        """Short description of what the network predicts."""
        return f"{len(self.rotations)} rotations and the speeds {', '.join(map(str, self.speeds))}"

    def network(self, model: ModelConfig) -> Network:
        """Return a network with both heads; all but the speed's is initialised as without it."""
        network = super().network(model)
        network.fc = TwoHeads(network.fc, nn.Linear(8 * model.width, len(self.speeds)))
        return network

    def prepare(self, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Rotate as ``RotationTask``; targets are (views * B, 2) int64, rotation and speed (-1: none)."""
        if batch.speeds is None:
            raise ValueError("the batch has no speeds: its loader needs a plan that draws them")
        inputs, rotations = super().prepare(batch, dtype)
        speeds = torch.from_numpy(batch.speeds).repeat(self.views)
        speeds = speeds.to(rotations.device, non_blocking=True)
        return inputs, torch.stack([rotations, speeds], dim=1)

    def rotation_of(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (N, rotations) and the targets (N,) of the rotation alone."""
        return outputs[:, : len(self.rotations)], targets[:, 0]

    def speed_of(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (N, speeds) and the targets (N,) of the speed alone."""
        return outputs[:, len(self.rotations) :], targets[:, 1]

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the weighted sum of both mean cross entropies, a scalar."""
        rotation = super().loss(*self.rotation_of(outputs, targets))
        speed = F.cross_entropy(
            *self.speed_of(outputs, targets), ignore_index=-1, reduction="sum"
        ) / len(targets)
        return rotation + self._weight * speed

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the number of correct rotations."""
        return super().correct(*self.rotation_of(outputs, targets))

    def correct_further(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the number of correct speeds, and of clips with a speed, (1, 2)."""
        logits, speeds = self.speed_of(outputs, targets)
        return torch.stack([(logits.argmax(dim=1) == speeds).sum(), (speeds >= 0).sum()])[None]


class RegressionTask(Task):
    """The pretext task as regression: predict any of 360 degrees (eq. 1 and section 4.6).

    The network has one output. The circle is scaled to [-1, 1): the target of an angle d is
    d / 180 - 1, so 0 degrees is -1 and 180 is 0 (the paper does not specify the scale). The loss is eq. 1,
    squared or absolute, without wrapping around. Reported errors are measured around the circle.
    Each clip is rotated ``views`` times by whole degrees, drawn from a hash of its sample number.
    """

    RIGHT_WITHIN = 22.5
    """Largest error in degrees that counts as correct: half the spacing of the eight classes."""

    measure = "rotation"

    def __init__(self, config: Config, classes: Sequence[str]):
        super().__init__(config, outputs=1, views=config.rotation.views)
        self._loss = F.l1_loss if config.rotation.loss == "l1" else F.mse_loss
        self._seed = config.seed

    @property
    def answer(self) -> str:
        """Short description of what the network predicts."""
        return "an angle"

    def network(self, model: ModelConfig) -> Network:
        """Return a network with the pretext head."""
        return pretext_network(
            self.outputs, depth=model.depth, width=model.width, shortcut=model.shortcut
        )

    def prepare(self, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Rotate each clip by its own angles; targets are (views * B,) float32 in [-1, 1)."""
        degrees = self._degrees(batch.samples)
        inputs = rotate_each(batch.clips, degrees, self.pixels(dtype))
        targets = (degrees / 180 - 1).flatten()
        return inputs, targets.to(batch.clips.device, non_blocking=True)

    def input_size(self, crop: int) -> int:
        """Return the side of the square that is inside the clip in every rotation."""
        return inscribed_size(crop)

    def _degrees(self, samples: NDArray[np.int64]) -> Tensor:
        """Return (views, B) float32 whole degrees, on the CPU."""
        sample, view = np.broadcast_arrays(samples[None], np.arange(self.views)[:, None])
        turns = np.full(view.shape, 360)
        return torch.from_numpy(hash_below(self._seed, Stream.ANGLE, view, sample, turns)).float()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return eq. 1 over the batch, a scalar."""
        return self._loss(outputs[:, 0].float(), targets)

    def degrees_of(self, values: Tensor) -> Tensor:
        """Convert outputs or targets to angles in [0, 360)."""
        return ((values + 1) * 180) % 360

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the error of each prediction around the circle in degrees, 0 to 180, (N,)."""
        away = (self.degrees_of(outputs[:, 0].float()) - self.degrees_of(targets)).abs()
        return torch.minimum(away, 360 - away)

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the number of predictions within 22.5 degrees."""
        return (self.errors(outputs, targets) <= self.RIGHT_WITHIN).sum()


class ActionTask(Task):
    """Action recognition: classify clips into the store's classes.

    Raises:
        UsageError: The store has fewer than two classes.
    """

    measure = "action"

    def __init__(self, config: Config, classes: Sequence[str]):
        if len(classes) < 2:
            raise UsageError(
                f"the store {config.data.store} has no action labels: prepare it with a layout that has "
                "classes, such as --layout ucf101, or from a folder with one sub-folder per class"
            )
        super().__init__(config, outputs=len(classes), views=1)
        self.classes = list(classes)
        self._label_smoothing = config.train.label_smoothing

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross entropy, with label smoothing if configured."""
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
    if config.rotation.kind == "regress":
        return RegressionTask(config, classes)
    return (SpeedTask if config.rotation.speeds else RotationTask)(config, classes)


TASKS: dict[str, Callable[[Config, Sequence[str]], Task]] = {
    "rotation": _rotation,
    "action": ActionTask,
}
"""The built-in tasks, by the names listed in ``BUILT_IN_TASKS`` of the schema."""


def make_task(config: Config, classes: Sequence[str]) -> Task:
    """Return the config's task; ``classes`` are those of the store.

    A custom task is imported first, which runs its module's code.

    Raises:
        UsageError: The task does not exist, or the config or the classes do not fit it.
        FastrotError: The code of a custom task fails.
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
            error, f"task is {config.task}: creating it as Class(config, classes) failed"
        ) from None
