"""SGD and the learning rate schedules (section 4.2)."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import SGD, Optimizer

from fastrot.config import OptimConfig, TrainConfig
from fastrot.config.schema import Precision
from fastrot.training.apex import ApexKind, find_apex, fused_sgd, trial
from pipelines.errors import UsageError

# The entries of a parameter group that select the implementation of the step, not its result. They depend on
# the machine, so the values in a checkpoint are ignored.
_HOW = ("foreach", "fused", "differentiable", "maximize")

_WAITS = "apex's FusedSGD makes the host wait for the GPU at every step"


def count_steps(train: TrainConfig, videos: int) -> int:
    """Return the number of iterations of the run; epochs are rounded up to whole iterations."""
    if train.iterations is not None:
        return train.iterations
    assert train.epochs is not None
    return math.ceil(train.epochs * videos / train.batch)


def scaled_lr(optim: OptimConfig, batch: int) -> float:
    """Return the learning rate for a global batch, scaled linearly from ``optim.lr_batch`` if that is set."""
    return optim.lr * batch / optim.lr_batch if optim.lr_batch else optim.lr


def choose_backend(
    config: OptimConfig, device: torch.device, precision: Precision
) -> tuple[Literal["torch", "apex"], str]:
    """Return which SGD ``optim.backend`` selects on this device, and a log line with the reason.

    With fp16, auto selects torch's: with apex's, the host checks at every step whether the gradients are
    finite, and has to wait for the GPU.

    Raises:
        UsageError: apex is requested, but it is not NVIDIA's, lacks its extensions, or does not work here.
    """
    fused = "fused" if device.type == "cuda" else "not fused, which is no faster on a CPU"
    if config.backend == "torch":
        return "torch", f"optimizer: torch SGD ({fused})"
    if config.backend == "auto" and precision == "fp16":
        return "torch", f"optimizer: torch SGD ({fused}); with fp16 {_WAITS}"
    kind = find_apex()
    fault: str | None = kind.value
    if kind is ApexKind.NVIDIA:
        fault = trial(device) if device.type == "cuda" else "NVIDIA apex needs a GPU"
    if fault is None:
        waits = f"; with fp16 {_WAITS}" if precision == "fp16" else ""
        return "apex", f"optimizer: NVIDIA apex FusedSGD{waits}"
    if config.backend == "apex":
        raise UsageError(
            f"optim.backend is apex, but {fault}. Alternatively, set optim.backend=torch."
        )
    return "torch", f"optimizer: torch SGD ({fused}); {fault}"


def make_optimizer(
    network: nn.Module,
    config: OptimConfig,
    lr: float,
    *,
    backend: Literal["torch", "apex"] = "torch",
) -> Optimizer:
    """Return SGD over the trainable weights of the network, fused if they are on a GPU.

    If ``config.decay_norms`` is false, BatchNorm weights and all biases form a separate group without weight
    decay. These are exactly the one-dimensional weights.
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
    # With the fused step, the fp16 scaler does not wait for the GPU to check that the gradients are finite.
    optimizer = SGD(groups, **options, fused=all(weight.is_cuda for weight in trained) or None)
    if optimizer.defaults["fused"]:
        start_momenta(optimizer)
    return optimizer


def start_momenta(optimizer: SGD) -> None:
    """Initialise the momenta to zero, which is equivalent to SGD's own first step.

    torch's fused SGD (torch 2.13) leaves them uninitialised if the scaler skips the first step, which
    happens whenever its initial scale is too high, and then continues from arbitrary memory contents.
    """
    for group in optimizer.param_groups:
        for weight in group["params"] if group["momentum"] else ():
            optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)


def load_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Load momenta and hyperparameters of torch's or apex's SGD, but keep this optimizer's implementation.

    A checkpoint also stores whether the step was fused, which may not be possible on this machine.
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
    """Return the schedule: a function from the step, counted from 0, to the learning rate.

    The rate depends only on the step, so resuming needs no scheduler state. Warm-up multiplies the schedule
    by (step + 1) / (warmup + 1), at most 1, so the drops of ``step`` stay at multiples of ``step_size``. The
    cosine covers the steps after the warm-up. ``onecycle`` is the same as torch's.

    Args:
        config: The schedule and its settings.
        lr: The highest rate.
        steps: Iterations of the run.
        steps_per_epoch: Iterations per epoch, for ``step_unit`` epochs.
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
    """Return the rate, which rises from lr / 25 to ``lr`` in 30 % of the steps and falls to lr / 250,000."""
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
    """Clip the gradients to a total norm of at most ``most``."""
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(network.parameters(), most)
