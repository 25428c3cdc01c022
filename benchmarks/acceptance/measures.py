"""The parts that are benchmarks of this project, with the cases that decide first."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch

from benchmarks import rotation as rotation_benchmark
from benchmarks import train
from benchmarks.acceptance.kernel_configs import chosen, compile_few
from benchmarks.acceptance.rows import Turn
from benchmarks.harness import session
from benchmarks.harness.limits import copy_case, matmul_case
from benchmarks.harness.measure import REPEATS, Case, Options, Result, interleave
from benchmarks.loading import codec_rates
from benchmarks.training.train_cases import (
    CONTIGUOUS,
    JPEG_SHARES,
    OURS,
    PLAIN,
    PLAIN_STEM,
    REAL,
    STEMS,
    hardware_share,
)
from fastrot.distributed.runtime import Runtime

VARIANTS = (
    PLAIN_STEM,
    *(f"stem of {channels} channels" for channels in STEMS),
    "apex FusedSGD",
    "without AMP",
)


@contextmanager
def options_of(turn: Turn, *only: str) -> Iterator[Options]:
    """Yield the options of benchmarks that write rows, and in which the rotation kernel compiles once."""
    with Runtime.start() as runtime:
        if runtime.device.type == "cuda":
            compile_few(1)
        yield Options(
            runtime,
            quick=turn.quick,
            shown=False,
            keep=turn.keep,
            only=only or None,
            warm_up=False,
        )


def measure(turn: Turn, cases: Collection[Case], *, repeats: int = REPEATS) -> None:
    """Measure cases in turn, each up to ``repeats`` times; each figure is a row at once."""

    def keep(outcomes: object) -> None:
        assert isinstance(outcomes, dict)
        turn.keep(Result(turn.part, {}, list(outcomes.values())))

    keep(
        interleave(
            list(cases),
            budget_s=turn.left_s,
            repeats=repeats,
            warm_up=False,
            what=turn.part,
            shown=False,
            keep=keep,
        )
    )


def machine(turn: Turn) -> None:
    """Write the environment, and whether there is a GPU."""
    with Runtime.start() as runtime:
        environment = session.environment(runtime)
    # The command of this process is none that a reader can repeat.
    environment["command"] = ["python", "-m", "benchmarks.acceptance"]
    turn.add("environment", "", environment=environment, gpu=torch.cuda.is_available())


def limits(turn: Turn) -> None:
    """Measure the bandwidth of copies and the rate of matrix products."""
    with options_of(turn) as options:
        gpu = options.device.type == "cuda" and not turn.quick
        calls = 50 if gpu else 1
        dtype = options.runtime.dtype
        measure(
            turn,
            [
                copy_case(options.device, megabytes=500 if gpu else 1, calls=calls),
                matmul_case(dtype, options.device, size=8192 if gpu else 64, calls=calls),
            ],
        )


def rotation(turn: Turn) -> None:
    """Measure the rotation op and eager torch: first with one compiled configuration, then with all."""
    with options_of(turn, rotation_benchmark.FUSED, *rotation_benchmark.EAGER) as options:
        gpu = options.device.type == "cuda"
        if gpu:
            turn.note("configurations", compile_few(1))
        rotation_benchmark.run(options, budget_s=turn.left_s / 2)
        if gpu:
            every = compile_few(None)
            rotation_benchmark.run(options, budget_s=turn.left_s)
            turn.note("configurations", f"{every}; chosen: {chosen()}")


def step(turn: Turn) -> None:
    """Measure the training step: ours, contiguous, and plain PyTorch."""
    with options_of(turn, OURS, CONTIGUOUS, PLAIN) as options:
        train.run(options, budget_s=turn.left_s)


def variants(turn: Turn) -> None:
    """Measure the training step with one change each."""
    with options_of(turn, OURS, *VARIANTS) as options:
        train.run(options, budget_s=turn.left_s)


def compiled(turn: Turn) -> None:
    """Measure the training step compiled, which takes a minute or more to compile."""
    with options_of(turn, OURS, "compiled") as options:
        train.run(options, budget_s=turn.left_s)


def real_data(turn: Turn) -> None:
    """Measure the training step on clips from a store of each codec."""
    sources = ("raw", "mjpeg", *(hardware_share(share) for share in JPEG_SHARES), "h264")
    with options_of(turn, OURS, *(f"{REAL}: {source}" for source in sources)) as options:
        train.run(options, budget_s=turn.left_s)


def loader(turn: Turn) -> None:
    """Measure the loader alone."""
    with options_of(turn) as options:
        codec_rates.run(options, budget_s=turn.left_s)
