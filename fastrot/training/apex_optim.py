"""NVIDIA apex's FusedSGD: making one, and trying whether it works (`fastrot.runs.apex` finds it)."""

import importlib
from collections.abc import Iterable
from typing import Any

import torch
from torch.optim import Optimizer

from pipelines.errors import first_line


def fused_sgd(params: Iterable[Any], **options: float) -> Optimizer:
    """Return apex's FusedSGD; the arguments are those of torch's SGD.

    Its state is `momentum_buffer`, as torch's SGD has it, so either goes on from the other's checkpoint.
    """
    optimizer: Optimizer = importlib.import_module("apex.optimizers").FusedSGD(params, **options)
    return optimizer


def trial(device: torch.device) -> str | None:
    """Make a step of FusedSGD on a weight like the network's; return why that fails, None where it works.

    A build for another GPU or torch imports, and fails when first used; older ones refuse weights in
    channels_last_3d.
    """
    weight = torch.ones(2, 3, 2, 2, 2, device=device).to(memory_format=torch.channels_last_3d)
    weight.requires_grad_()
    weight.grad = (
        torch.arange(48.0, device=device)
        .view_as(weight)
        .clone(memory_format=torch.channels_last_3d)
    )
    try:
        fused_sgd([weight], lr=0.5).step()
        expected = 1 - 0.5 * weight.grad
        if not torch.allclose(weight, expected):
            return "a step of its FusedSGD gives wrong weights"
    except (ImportError, AttributeError, RuntimeError, TypeError) as error:
        return f"a step of its FusedSGD fails: {first_line(error)}"
    return None
