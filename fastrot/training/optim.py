"""SGD and the learning rate's schedules (section 4.2)."""

import math

import torch
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, StepLR

from fastrot.config import OptimConfig, TrainConfig


def count_steps(train: TrainConfig, videos: int) -> int:
    """Return the run's iterations; epochs are rounded up to whole iterations."""
    if train.iterations is not None:
        return train.iterations
    assert train.epochs is not None
    return math.ceil(train.epochs * videos / train.batch)


def make_optimizer(network: torch.nn.Module, config: OptimConfig) -> SGD:
    """Return SGD over all of the network's weights."""
    return SGD(
        network.parameters(),
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov,
    )


def make_scheduler(optimizer: Optimizer, config: OptimConfig, steps: int) -> LRScheduler:
    """Return the schedule, to be moved once an iteration, ``steps`` times."""
    if config.schedule == "onecycle":
        # The momentum stays what the config says.
        return OneCycleLR(optimizer, config.lr, total_steps=steps, cycle_momentum=False)
    gamma = config.gamma if config.schedule == "step" else 1.0
    return StepLR(optimizer, config.step_size, gamma)
