"""Where a step's time goes: named ranges for NVIDIA's profilers, and a window of torch's own profiler."""

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
    """Name what happens within: an NVTX range where there is a GPU, and one in torch's profiler."""
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
    """Builds of torch without CUDA raise on NVTX."""
    return torch.cuda.is_available()


@contextmanager
def profiled(
    config: ProfileConfig, path: Path, *, done: Callable[[str], None]
) -> Iterator[Callable[[], None]]:
    """Profile the steps that the config says, and write their Chrome trace.

    Args:
        config: which steps after this one.
        path: of the trace, a JSON file.
        done: called with a line about the trace: how many steps are in it, or that there is none.

    Yields:
        What to call after each step.

    Raises:
        FastrotError: the trace cannot be written.
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
        done(
            f"profiled {ended - before} steps: {path} opens in chrome://tracing or ui.perfetto.dev"
        )

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
            f"profiled no step: the run ended after {ended}, and profile.wait and profile.warmup are "
            f"{before} together"
        )
