"""SGD and the learning rate's schedules (section 4.2)."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import SGD, Optimizer

from fastrot.config import OptimConfig, TrainConfig
from fastrot.config.schema import Precision
from fastrot.runs.apex import ApexKind, find_apex
from fastrot.training.apex_optim import fused_sgd, trial
from pipelines.errors import UsageError

# Of a parameter group's entries, those that say how the step is computed, not what: they are this
# machine's, whatever a checkpoint says.
_HOW = ("foreach", "fused", "differentiable", "maximize")

_WAITS = "apex's FusedSGD makes the host wait for the GPU at every step"


def count_steps(train: TrainConfig, videos: int) -> int:
    """Return the run's iterations; epochs are rounded up to whole iterations."""
    if train.iterations is not None:
        return train.iterations
    assert train.epochs is not None
    return math.ceil(train.epochs * videos / train.batch)


def scaled_lr(optim: OptimConfig, batch: int) -> float:
    """Return the learning rate for a global batch: linear in it from ``optim.lr_batch`` on, where given."""
    return optim.lr * batch / optim.lr_batch if optim.lr_batch else optim.lr


def choose_backend(
    config: OptimConfig, device: torch.device, precision: Precision
) -> tuple[Literal["torch", "apex"], str]:
    """Return whose SGD ``optim.backend`` means on this device, and a line for the log that says why.

    With fp16 auto means torch's: apex's leaves it to the host to ask at every step whether the gradients
    are finite, and the host waits for the answer.

    Raises:
        UsageError: apex is asked for, and is not NVIDIA's, lacks its extensions, or does not work here.
    """
    fused = "fused" if device.type == "cuda" else "plain, for a CPU gains nothing by fusing"
    if config.backend == "torch":
        return "torch", f"optimizer: torch SGD ({fused})"
    if config.backend == "auto" and precision == "fp16":
        return "torch", f"optimizer: torch SGD ({fused}); with fp16 {_WAITS}"
    kind = find_apex()
    fault: str | None = kind.describe()
    if kind is ApexKind.NVIDIA:
        fault = trial(device) if device.type == "cuda" else "NVIDIA apex needs a GPU"
    if fault is None:
        waits = f"; with fp16 {_WAITS}" if precision == "fp16" else ""
        return "apex", f"optimizer: NVIDIA apex FusedSGD{waits}"
    if config.backend == "apex":
        raise UsageError(f"optim.backend is apex, but {fault}; optim.backend=torch needs no apex")
    return "torch", f"optimizer: torch SGD ({fused}); {fault}"


def make_optimizer(
    network: nn.Module,
    config: OptimConfig,
    lr: float,
    *,
    backend: Literal["torch", "apex"] = "torch",
) -> Optimizer:
    """Return SGD over the network's trained weights, fused where they are on a GPU.

    BatchNorm's weights and all biases are a group of their own, without decay, where
    ``config.decay_norms`` says so. One-dimensional weights are exactly these.
    """
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    groups: list[dict[str, Any]] = [{"params": trained}]
    if not config.decay_norms:
        groups = [
            {"params": [weight for weight in trained if weight.ndim > 1]},
            {"params": [weight for weight in trained if weight.ndim <= 1], "weight_decay": 0.0},
        ]
    options: dict[str, Any] = {
        "lr": lr,
        "momentum": config.momentum,
        "weight_decay": config.weight_decay,
        "nesterov": config.nesterov,
    }
    if backend == "apex":
        return fused_sgd(groups, **options)
    # Fused, the step under fp16's scaler does not ask the GPU whether the gradients are finite.
    optimizer = SGD(groups, **options, fused=all(weight.is_cuda for weight in trained) or None)
    if optimizer.defaults["fused"]:
        start_momenta(optimizer)
    return optimizer


def start_momenta(optimizer: SGD) -> None:
    """Let momenta begin as zeros, which is what SGD's first step comes to.

    torch's fused SGD leaves them uninitialised where the scaler skips the first step, as it does
    whenever its first scale is too high (torch 2.13), and goes on from what lay in memory.
    """
    for group in optimizer.param_groups:
        for weight in group["params"] if group["momentum"] else ():
            optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)


def load_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Load momenta and rates, of torch's SGD or of apex's alike, and step as this optimizer does.

    A checkpoint also says whether the step was fused, which the next machine may not be able to.
    """
    ours = [{key: group[key] for key in _HOW if key in group} for group in optimizer.param_groups]
    optimizer.load_state_dict(dict(state))
    for group, how in zip(optimizer.param_groups, ours, strict=True):
        for key in _HOW:
            group.pop(key, None)
        group.update(how)


def learning_rate(
    config: OptimConfig, lr: float, *, steps: int, steps_per_epoch: float
) -> Callable[[int], float]:
    """Return the schedule: the learning rate of a step, counted from 0.

    It depends on nothing but the step's number, so that a resumed run needs no state of it. Warm-up is a
    factor on the schedule, (step + 1) / (warmup + 1) up to 1: the drops of ``step`` stay at the multiples
    of ``step_size``. A cosine is that of the steps after the warm-up, and ``onecycle`` is torch's.

    Args:
        config: which schedule.
        lr: its highest rate.
        steps: iterations of the run.
        steps_per_epoch: iterations of an epoch, for ``step_unit`` epochs.
    """
    if config.schedule == "onecycle":
        return lambda step: _one_cycle(step, lr, steps)
    warmup = config.warmup
    unit = steps_per_epoch if config.step_unit == "epochs" else 1.0
    size = max(1, round(config.step_size * unit))

    def schedule(step: int) -> float:
        if config.schedule == "step":
            return float(config.gamma ** (step // size))
        if config.schedule == "cosine":
            return _fall(1.0, 0.0, max(0, step - warmup) / max(1, steps - warmup))
        return 1.0

    return lambda step: lr * schedule(step) * min(1.0, (step + 1) / (warmup + 1))


def _one_cycle(step: int, lr: float, steps: int) -> float:
    """Rise from lr / 25 to ``lr`` in the first 30 % of the steps, and fall to lr / 250,000 by the last."""
    low, top, last = lr / 25, 0.3 * steps - 1, steps - 1
    if step <= top:
        return _fall(low, lr, step / top)
    return _fall(lr, low / 1e4, (step - top) / (last - top))


def _fall(start: float, end: float, share: float) -> float:
    """Return the value after ``share`` (0 to 1) of a half cosine from ``start`` to ``end``."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def clip_gradients(
    network: torch.nn.Module, scaler: torch.amp.GradScaler, optimizer: Optimizer, most: float
) -> None:
    """Scale all gradients down so that their norm is at most ``most``."""
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(network.parameters(), most)
