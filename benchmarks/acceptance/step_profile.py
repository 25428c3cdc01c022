"""Where a training step spends its time: the kernels that take most of it."""

import time
from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks.acceptance.measures import options_of
from benchmarks.acceptance.rows import Turn
from benchmarks.training.stepping import TrainerStep
from benchmarks.training.train_cases import FULL, QUICK, synthetic

MOST = 25
"""Kernels in the table."""

LONGEST_NAME = 240
"""cuDNN names a kernel's architecture, layout and tile in up to about 200 characters."""


def run(turn: Turn) -> None:
    """Profile training steps on a GPU by kernel, on a CPU by operator."""
    with options_of(turn) as options:
        gpu = options.device.type == "cuda"
        sizes, steps = (QUICK, 1) if turn.quick else (FULL, 5)
        step = TrainerStep(sizes.config(), options.runtime)
        batches = synthetic(sizes, options.device)
        for _ in range(1 if turn.quick else 3):
            step(batches)
        step.marks.take()
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]
        with profile(activities=activities) as profiler:
            began = time.perf_counter()
            for _ in range(steps):
                step(batches)
            step.marks.take()  # waits for the GPU
            seconds = time.perf_counter() - began
        device = "CUDA" if gpu else "CPU"
        events = [
            event
            for event in profiler.key_averages()
            if event.device_type.name == device and not getattr(event, "is_user_annotation", False)
        ]
        _write(turn, events, steps, seconds, gpu=gpu)


def _write(turn: Turn, events: list[Any], steps: int, seconds: float, *, gpu: bool) -> None:
    """Write a row for the step, and one for each of the events that take most time."""

    def own_ms(event: Any) -> float:
        microseconds = event.self_device_time_total if gpu else event.self_cpu_time_total
        return float(microseconds) / 1e3 / steps

    total = sum(map(own_ms, events))
    turn.figures("step", ms_per_step=1e3 * seconds / steps, ms_in_kernels=total)
    for rank, event in enumerate(sorted(events, key=own_ms, reverse=True)[:MOST], 1):
        turn.figures(
            f"{rank}. {event.key[:LONGEST_NAME]}",  # names of templates differ at their ends
            own_ms_per_step=own_ms(event),
            share=own_ms(event) / total if total else 0.0,
            calls_per_step=event.count / steps,
        )
    turn.note("profiled", f"{steps} steps; profiling slows the host, not the kernels")
