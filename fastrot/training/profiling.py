"""Profiling of training steps: named ranges for NVIDIA's profilers, and traces of torch's profiler."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import (
    ProfilerActivity,
    profile,
    record_function,
    schedule,
)

from fastrot.config import ProfileConfig
from pipelines.files import replacing


@contextmanager
def span(name: str) -> Iterator[None]:
    """Mark the context as a named range in torch's profiler and, with a GPU, in NVTX."""
    nvtx = _has_cuda()
    if nvtx:
        torch.cuda.nvtx.range_push(name)  # type: ignore[no-untyped-call]
    try:
        with record_function(name):
            yield
    finally:
        if nvtx:
            torch.cuda.nvtx.range_pop()  # type: ignore[no-untyped-call]


@functools.cache
def _has_cuda() -> bool:
    """Return whether NVTX can be used: builds of torch without CUDA raise an error."""
    return torch.cuda.is_available()


@contextmanager
def profiled(
    config: ProfileConfig, path: Path, *, done: Callable[[str], None]
) -> Iterator[Callable[[], None]]:
    """Profile the steps that the config selects, and write a Chrome trace.

    Args:
        config: The steps to profile, counted from the current one.
        path: Path of the trace, a JSON file.
        done: Called with a line that reports how many steps were profiled.

    Yields:
        A function to call after each step.

    Raises:
        FastrotError: The trace cannot be written.
    """
    if not config.steps:
        yield lambda: None
        return

    before, ended = config.wait + config.warmup, 0

    def write(profiler: profile) -> None:
        if ended <= before:
            return
        with replacing(path) as temporary:
            profiler.export_chrome_trace(str(temporary))
        done(f"profiled {ended - before} steps: open {path} in chrome://tracing or ui.perfetto.dev")

    activities = [ProfilerActivity.CPU]
    if _has_cuda():
        activities.append(ProfilerActivity.CUDA)
    with profile(
        activities=activities,
        schedule=schedule(wait=config.wait, warmup=config.warmup, active=config.steps, repeat=1),
        on_trace_ready=write,
    ) as profiler:

        def step() -> None:
            nonlocal ended
            ended += 1
            profiler.step()

        yield step
    if ended <= before:
        done(
            f"no step was profiled: the run ended after {ended} steps, but profile.wait + profile.warmup "
            f"is {before}"
        )
