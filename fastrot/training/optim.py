"""SGD and the learning rate's schedules (section 4.2)."""

import math

import torch
from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    SequentialLR,
    StepLR,
)

from fastrot.config import OptimConfig, TrainConfig


def count_steps(train: TrainConfig, videos: int) -> int:
    """Return the run's iterations; epochs are rounded up to whole iterations."""
    if train.iterations is not None:
        return train.iterations
    assert train.epochs is not None
    return math.ceil(train.epochs * videos / train.batch)


def scaled_lr(optim: OptimConfig, batch: int) -> float:
    """Return the learning rate for a global batch: linear in it from ``optim.lr_batch`` on, where given."""
    return optim.lr * batch / optim.lr_batch if optim.lr_batch else optim.lr


def make_optimizer(network: nn.Module, config: OptimConfig, lr: float) -> SGD:
    """Return SGD over the network's trained weights.

    BatchNorm's weights and all biases are a group of their own, without decay, where
    ``config.decay_norms`` says so. One-dimensional weights are exactly these.
    """
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    groups: list[dict[str, object]] = [{"params": trained}]
    if not config.decay_norms:
        groups = [
            {"params": [weight for weight in trained if weight.ndim > 1]},
            {"params": [weight for weight in trained if weight.ndim <= 1], "weight_decay": 0.0},
        ]
    return SGD(
        groups,
        lr=lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov,
    )


def make_scheduler(
    optimizer: Optimizer, config: OptimConfig, lr: float, *, steps: int, steps_per_epoch: float
) -> LRScheduler:
    """Return the schedule, to be moved once an iteration, ``steps`` times.

    Args:
        optimizer: whose rate moves.
        config: which schedule.
        lr: its highest rate.
        steps: iterations of the run.
        steps_per_epoch: iterations of an epoch, for ``step_unit`` epochs.
    """
    if config.schedule == "onecycle":
        # The momentum stays what the config says.
        return OneCycleLR(optimizer, lr, total_steps=steps, cycle_momentum=False)
    main: LRScheduler
    if config.schedule == "cosine":
        main = CosineAnnealingLR(optimizer, max(1, steps - config.warmup))
    else:
        unit = steps_per_epoch if config.step_unit == "epochs" else 1.0
        gamma = config.gamma if config.schedule == "step" else 1.0
        main = StepLR(optimizer, max(1, round(config.step_size * unit)), gamma)
    if not config.warmup:
        return main
    rise = LinearLR(optimizer, 1 / (config.warmup + 1), total_iters=config.warmup)
    return SequentialLR(optimizer, [rise, main], [config.warmup])


def clip_gradients(
    network: torch.nn.Module, scaler: torch.amp.GradScaler, optimizer: SGD, most: float
) -> None:
    """Scale all gradients down so that their norm is at most ``most``."""
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(network.parameters(), most)
