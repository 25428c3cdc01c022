"""Commands in separate processes, forked from a server that has already imported everything.

A start takes tenths of a second instead of several seconds: the soak test starts hundreds of runs.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

# torch (first optimiser) and DALI (first pipeline) import some of these late, which takes seconds.
_PRELOADED = [
    "fastrot.training.run",
    "fastrot.cli",
    "nvidia.dali.fn",
    "torch._dynamo",
    "torch.profiler",
    "numpy.ma",
    "benchmarks.soak.forked",
]


def context() -> ForkServerContext:
    """Return the server's context; the server starts with the first process."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(_PRELOADED)
    return server


def fork(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    output: Path,
    prepare: Callable[[], None] | None = None,
) -> ForkServerProcess:
    """Start ``fastrot`` with these arguments on one CPU thread.

    Args:
        arguments: Command-line arguments.
        environment: Variables to set, such as torchrun's.
        output: File for its output.
        prepare: Called in the process before the command; must be picklable.
    """
    output.write_text("")
    process = context().Process(
        target=_run, args=(list(arguments), dict(environment), str(output), prepare), daemon=True
    )
    process.start()
    return process


def _run(
    arguments: list[str],
    environment: dict[str, str],
    output: str,
    prepare: Callable[[], None] | None,
) -> None:
    os.environ.update(environment, CUDA_VISIBLE_DEVICES="")
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    from fastrot.cli import main
    from fastrot.distributed import runtime
    from fastrot.terminal import console

    console._console.file = sys.stdout
    # The same number of threads gives bit-identical results on any machine.
    os.environ.pop("OMP_NUM_THREADS", None)
    runtime.cores = lambda: 1  # type: ignore[attr-defined]
    if prepare is not None:
        prepare()
    code = main(arguments)
    sys.stdout.flush()
    sys.exit(code)
