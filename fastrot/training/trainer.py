"""The trainer: network and optimiser, a training step, and saving and loading their state."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastrot.config import Config
from fastrot.distributed.runtime import Runtime, accumulating
from fastrot.models.network import Network
from fastrot.tasks import Task
from fastrot.training.compiling import compiled
from fastrot.training.optim import (
    choose_backend,
    clip_gradients,
    learning_rate,
    load_optimizer,
    make_optimizer,
    scaled_lr,
)
from fastrot.training.profiling import span
from fastrot.training.rng import rng_state, set_rng_state
from pipelines.errors import FastrotError
from pipelines.loading.batches import Batch

_NEVER = 2**62


@dataclass(frozen=True)
class Window:
    """Averages over the steps since the last window, of all processes and micro-batches.

    ``lr`` is the learning rate of the last of these steps, ``clips`` the number of clips in them.
    ``further`` is the accuracy of each of the task's further questions that was asked.
    """

    loss: float
    accuracy: float
    lr: float
    clips: int
    further: dict[str, float]


class Trainer:
    """Network, optimiser, schedule and gradient scaler, and the training step.

    Attributes:
        network: The network without wrappers, for evaluation and checkpoints.
        step: Number of iterations done.
        optimizer_note: A log line about the optimiser in use.
    """

    def __init__(
        self,
        config: Config,
        task: Task,
        network: Network,
        runtime: Runtime,
        *,
        steps: int,
        steps_per_epoch: float,
    ):
        self.network = network
        self.step = 0
        self._task = task
        self._runtime = runtime
        self._accumulate = config.train.accumulate
        self._clip_norm = config.optim.clip_norm
        self._parallel = runtime.distribute(
            network,
            sync_bn=config.train.sync_bn,
            static_graph=self._accumulate == 1 and not config.train.compile,
        )
        self._model = (
            compiled(self._parallel, runtime.device) if config.train.compile else self._parallel
        )
        lr = scaled_lr(config.optim, config.train.batch)
        backend, self.optimizer_note = choose_backend(
            config.optim, runtime.device, runtime.precision
        )
        self._optimizer = make_optimizer(network, config.optim, lr, backend=backend)
        self._rate = learning_rate(config.optim, lr, steps=steps, steps_per_epoch=steps_per_epoch)
        self._scaler = runtime.grad_scaler()
        self._lr = lr
        # Loss, correct answers, clips and micro-batches since the last window, then the correct answers and
        # the answers to each further question. They stay on the device, so that the host waits for it only
        # when a window is closed.
        self._totals = torch.zeros(
            4 + 2 * len(task.further), dtype=torch.float64, device=runtime.device
        )
        self._broken = torch.full((), _NEVER, dtype=torch.int64, device=runtime.device)

    def advance(self, batches: Iterator[Batch]) -> None:
        """Train one step of ``accumulate`` micro-batches."""
        for micro in range(self._accumulate):
            with span("data"):
                batch = next(batches)
            with span("rotate"):
                inputs, targets = self._task.prepare(batch, self._runtime.dtype)
            last = micro == self._accumulate - 1
            with nullcontext() if last else accumulating(self._parallel):
                with span("forward"), self._runtime.autocast():
                    outputs = self._model(inputs)
                    loss = self._task.loss(outputs, targets)
                with span("backward"):
                    self._scaler.scale(loss / self._accumulate).backward()  # type: ignore[no-untyped-call]
            self._count(loss.detach(), outputs.detach(), targets)
        self._lr = self._rate(self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = self._lr
        with span("optimizer"):
            if self._clip_norm:
                clip_gradients(self.network, self._scaler, self._optimizer, self._clip_norm)
            self._scaler.step(self._optimizer)
            self._scaler.update()
            self._optimizer.zero_grad()
        self.step += 1

    def _count(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> None:
        self._totals[0] += loss
        self._totals[1] += self._task.correct(outputs, targets)
        self._totals[2] += len(targets)
        self._totals[3] += 1
        if self._task.further:
            self._totals[4:] += self._task.correct_further(outputs, targets).flatten()
        broken = torch.where(loss.isfinite(), _NEVER, self.step + 1)
        self._broken = torch.minimum(self._broken, broken)

    def close_window(self) -> Window:
        """Return the averages since the last call. This makes the host wait for the device."""
        loss, correct, clips, micros, *more = self._runtime.all_sum(self._totals).tolist()
        self._totals.zero_()
        further = {
            name: right / asked
            for name, right, asked in zip(self._task.further, more[::2], more[1::2], strict=True)
            if asked
        }
        return Window(loss / micros, correct / clips, float(self._lr), int(clips), further)

    @property
    def broken_step(self) -> int | None:
        """The first step with a non-finite loss in any process. This makes the host wait for the device."""
        step = int(self._runtime.all_rows(self._broken).min())
        return None if step == _NEVER else step

    def require_finite(self, last: Path) -> None:
        """Check the loss before a network is logged, evaluated or saved.

        Args:
            last: The last checkpoint of the run, which may not exist, for the message.

        Raises:
            FastrotError: The loss was not finite in some process.
        """
        step = self.broken_step
        if step is None:
            return
        kept = (
            f"the last good checkpoint is {last}" if last.exists() else "there is no checkpoint yet"
        )
        raise FastrotError(
            f"the loss was not finite at step {step}: {kept}. Try a lower optim.lr, set optim.clip_norm, or "
            "use train.precision=bf16 or fp32 instead of fp16."
        )

    def state(self) -> dict[str, Any]:
        """Return all state needed to resume, as tensors and plain values; every process must call this."""
        return {
            "model": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "step": self.step,
            "totals": self._runtime.all_rows(self._totals),
            "rng": self._runtime.all_bytes(rng_state(self._runtime.device)),
        }

    def load(self, state: Mapping[str, Any], *, changed: bool = False) -> None:
        """Resume from a state; bit-identical on a CPU.

        Args:
            state: As returned by ``state``.
            changed: Take momentum and weight decay from the config of this run, instead of from the state.
                The learning rate always follows from the config and the step.

        Raises:
            FastrotError: The state belongs to another network.
        """
        try:
            self.network.load_state_dict(state["model"])
        except RuntimeError as error:
            what = f"the checkpoint belongs to another network: {error}"
            raise FastrotError(f"{what}. Start a new run with another name=...") from None
        if changed:
            self._load_momenta(state["optimizer"])
        else:
            load_optimizer(self._optimizer, state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self.step = state["step"]
        rows, runtime = state["totals"], self._runtime
        if len(rows) == runtime.world:
            self._totals.copy_(rows[runtime.rank])
        elif runtime.is_main:  # the number of processes has changed: only the sum matters
            self._totals.copy_(rows.sum(dim=0))
        saved = state["rng"]
        set_rng_state(saved[runtime.rank if len(saved) == runtime.world else 0], runtime.device)

    def _load_momenta(self, saved: Mapping[str, Any]) -> None:
        own = self._optimizer.state_dict()
        groups = [[group["params"] for group in each["param_groups"]] for each in (own, saved)]
        if groups[0] != groups[1]:
            raise FastrotError(
                "the optimiser in the checkpoint has other parameter groups: optim.decay_norms and "
                "model.freeze cannot be changed when resuming. Undo the change."
            )
        self._optimizer.load_state_dict(
            {"state": saved["state"], "param_groups": own["param_groups"]}
        )
