"""Runs programs and functions with a time limit, after which nothing of them is left."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pipelines.prepare.workers import run_isolated

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Ended:
    """How a program ended; ``code`` is None where it was stopped at its time limit."""

    code: int | None
    output: str
    errors: str


def run_limited(
    command: Sequence[str],
    *,
    seconds: float,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run a program to its end, or stop it and all that it started.

    Args:
        command: the program and its arguments.
        seconds: how long it may take.
        folder: where it runs; this process's where None.
        environment: variables in addition to this process's.
    """
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=seconds)
    except BaseException as error:
        # Its processes are a group of their own: torchrun's workers would outlive it otherwise.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        return Ended(None, output, errors)
    return Ended(process.returncode, output, errors)


def run_alone(function: Callable[[Item], Result], item: Item, *, seconds: float) -> Result:
    """Return what a function gives in a process of its own, whose end is not this one's.

    Args:
        function: importable by that process.
        item: its argument.
        seconds: how long it may take; starting the process does not count.

    Raises:
        WorkerLostError: the process crashed, or was stopped at its time limit.
        Exception: what the function raised.
    """
    ((_, outcome),) = run_isolated(function, [item], workers=1, time_limit=seconds)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
