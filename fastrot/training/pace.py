"""Estimates of how long a run takes: on a CPU before the first step, then from the first steps."""

import time

import torch
from torch.nn import functional as F

from fastrot.distributed.runtime import MEMORY_FORMAT, Runtime
from fastrot.terminal.console import duration, rate_text

FIRST_STEPS = (1, 2, 5, 10)
"""Steps after which a process reports its rate, regardless of ``train.log_every``."""

LONG_S = 24 * 3600.0
"""Seconds above which a run on a CPU is probably a mistake."""

_WORTH_MEASURING = 1e15
"""FLOP that any CPU completes within a day."""


class Pace:
    """The rate over the first steps of a process.

    Args:
        step: The step at which training starts.
        steps: Iterations of the run.
    """

    def __init__(self, step: int, steps: int):
        self._start = step
        self._steps = steps
        self._first_s = 0.0

    def due(self, step: int) -> bool:
        """Return whether to report the rate after this step."""
        return step - self._start in FIRST_STEPS

    def line(self, step: int, seconds: float) -> str:
        """Return the log line for a step that is due.

        Args:
            step: The step just done.
            seconds: Seconds of training since the start. From the second step on, the first one is ignored,
                because it includes the wait for the first batch and other setup.
        """
        done = step - self._start
        if done == 1:
            self._first_s = seconds
        else:
            done, seconds = done - 1, seconds - self._first_s
        rate = done / max(seconds, 1e-9)
        left = duration((self._steps - step) / rate)
        return f"step {step}/{self._steps}  {rate_text(rate, 'steps')}, about {left} left"


def cpu_note(flop: float, runtime: Runtime) -> str | None:
    """Return a warning for a run that would take days on a CPU; None for all others.

    Args:
        flop: Operations of the remaining steps, over all processes.
        runtime: The processes and their device.
    """
    if runtime.device.type != "cpu" or flop < _WORTH_MEASURING:
        return None
    rate = measured_rate() * runtime.world
    if flop / rate < LONG_S:
        return None
    return (
        f"on this CPU the run would take about {duration(flop / rate)}: {flop / 1e15:,.0f} PFLOP, at "
        f"{rate / 1e12:.2g} TFLOP/s measured in a similar convolution. This config is meant for GPUs. On a "
        "CPU, use `fastrot demo --source VIDEOS`, or the configs demo/pretrain.yaml and demo/finetune.yaml."
    )


def measured_rate() -> float:
    """Measure this process's FLOP/s in training a convolution of the first stage."""
    # Ones instead of random numbers, so that the state of the random generators does not change.
    clips, channels, size = 4, 64, (8, 28, 28)
    inputs = torch.ones(clips, channels, *size).contiguous(memory_format=MEMORY_FORMAT)
    weight = torch.ones(channels, channels, 3, 3, 3).contiguous(memory_format=MEMORY_FORMAT)
    tensors = [inputs.requires_grad_(), weight.requires_grad_()]
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        torch.autograd.grad(F.conv3d(inputs, weight, padding=1).sum(), tensors)
        seconds.append(time.perf_counter() - began)
    forward = 2 * clips * size[0] * size[1] * size[2] * channels * channels * 27
    return 3 * forward / min(seconds)
