"""Training steps that can be timed part by part: the project's own, and one in plain PyTorch."""

import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness.limits import new_event
from benchmarks.rotation import channels_first, pixel_statistics
from fastrot.config import Config
from fastrot.distributed.runtime import Runtime
from fastrot.models.network import Network
from fastrot.models.resnet3d import ShortcutA
from fastrot.tasks import RotationTask
from fastrot.training.optim import scaled_lr
from fastrot.training.trainer import Trainer
from pipelines.loading.batches import Batch

PARTS = ("data", "rotate", "forward", "backward", "optimizer")

_ENDLESS = 10**9


class Marks:
    """Measures the time between the parts of steps on the device.

    On a GPU, a mark is an event in the GPU's queue, and the host does not wait for it. Waiting for
    late data then appears as the time in which the queue was empty. On other devices, a mark is a
    time of the clock.
    """

    def __init__(self, device: torch.device):
        self._gpu = device.type == "cuda"
        self._times: list[tuple[str, float]] = []
        self._events: list[tuple[str, torch.cuda.Event]] = []

    def begin(self) -> None:
        """Mark the start of a step."""
        self.end("")

    def end(self, part: str) -> None:
        """Assign the time since the last mark to ``part``."""
        if self._gpu:
            event = new_event()
            event.record()
            self._events.append((part, event))
        else:
            self._times.append((part, time.perf_counter()))

    def take(self) -> dict[str, float]:
        """Wait for the device, and return the seconds of each part since the last call."""
        if self._gpu:
            torch.cuda.synchronize()
            first = self._events[0][1] if self._events else None
            self._times = [
                (part, first.elapsed_time(event) / 1e3 if first else 0.0)
                for part, event in self._events
            ]
            self._events = []
        seconds = dict.fromkeys(PARTS, 0.0)
        for (_, before), (part, now) in zip(self._times, self._times[1:], strict=False):
            if part:
                seconds[part] += now - before
        self._times = []
        return seconds


class MarkedTask(RotationTask):
    """The pretext task, which also marks where each part of the trainer's step ends."""

    def __init__(self, config: Config, marks: Marks, *, channels_last: bool):
        super().__init__(config, classes=[])
        self._marks = marks
        self._channels_last = channels_last

    def prepare(self, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Rotate the batch, which has just arrived."""
        self._marks.end("data")
        inputs, targets = super().prepare(batch, dtype)
        if not self._channels_last:
            inputs = inputs.contiguous()
        self._marks.end("rotate")
        return inputs, targets

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss, which ends the forward pass."""
        loss = super().loss(outputs, targets)
        self._marks.end("forward")
        return loss

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Count correct answers; the trainer calls this after the backward pass."""
        self._marks.end("backward")
        return super().correct(outputs, targets)


class TrainerStep:
    """The step of real training runs, with one micro-batch."""

    def __init__(self, config: Config, runtime: Runtime, *, channels_last: bool = True):
        self.marks = Marks(runtime.device)
        task = MarkedTask(config, self.marks, channels_last=channels_last)
        torch.manual_seed(config.seed)
        self.network = task.network(config.model)
        if channels_last:
            runtime.place(self.network)
        else:
            place_contiguous(self.network, runtime.device)
        self._trainer = Trainer(
            config, task, self.network, runtime, steps=_ENDLESS, steps_per_epoch=_ENDLESS
        )

    def __call__(self, batches: Iterator[Batch]) -> None:
        """Make one step."""
        self.marks.begin()
        self._trainer.advance(batches)
        self.marks.end("optimizer")


class PlainStep:
    """A typical step in plain PyTorch: eager, contiguous, and with the runtime's AMP setting."""

    def __init__(self, config: Config, runtime: Runtime):
        self.marks = Marks(runtime.device)
        self._runtime = runtime
        self._task = MarkedTask(config, self.marks, channels_last=False)
        torch.manual_seed(config.seed)
        self.network = self._task.network(config.model)
        place_contiguous(self.network, runtime.device)
        self._optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=scaled_lr(config.optim, config.train.batch),
            momentum=config.optim.momentum,
            weight_decay=config.optim.weight_decay,
        )
        self._scaler = runtime.grad_scaler()
        self._statistics = pixel_statistics(runtime.device)

    def __call__(self, batches: Iterator[Batch]) -> None:
        """Make one step."""
        marks = self.marks
        marks.begin()
        clips = next(batches).clips
        marks.end("data")
        inputs = channels_first(clips, *self._statistics, torch.float32)
        targets = self._task.rotations.labels(len(clips), clips.device)
        marks.end("rotate")
        with self._runtime.autocast():
            loss = F.cross_entropy(self.network(inputs), targets)
        marks.end("forward")
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        marks.end("backward")
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad()
        marks.end("optimizer")


class PlainShortcutA(nn.Module):
    """``ShortcutA`` without its support for channels_last_3d, for contiguous networks."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self._channels = channels
        self._stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, H, W) to (N, channels, T/stride, H/stride, W/stride), rounded up."""
        s = self._stride
        return F.pad(x[:, :, ::s, ::s, ::s], (0, 0, 0, 0, 0, 0, 0, self._channels - x.shape[1]))


def place_contiguous(network: Network, device: torch.device) -> None:
    """Move a network to the device in torch's default format, and keep its activations contiguous."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, ShortcutA):
                setattr(module, name, PlainShortcutA(child.channels, child.stride))
    network.to(device)
