"""Runs programs and functions with a time limit, and leaves nothing of them running."""

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
    """How a program ended; ``code`` is None if it was stopped at its time limit."""

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
    """Run a program to its end, or stop it and every process that it started.

    Args:
        command: The program and its arguments.
        seconds: Its time limit.
        folder: Its working directory; None means that of this process.
        environment: Variables in addition to those of this process.

    Returns:
        how the program ended, with its output.
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
        # Kill the whole process group: torchrun's workers would outlive it otherwise.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        return Ended(None, output, errors)
    return Ended(process.returncode, output, errors)


def run_alone(function: Callable[[Item], Result], item: Item, *, seconds: float) -> Result:
    """Return the result of a function that runs in a separate process.

    A crash of that process does not end this one.

    Args:
        function: The function, which that process must be able to import.
        item: The function's argument.
        seconds: The time limit; starting the process does not count.

    Raises:
        WorkerLostError: The process crashed, or was stopped at its time limit.
        Exception: The function raised it.
    """
    ((_, outcome),) = run_isolated(function, [item], workers=1, time_limit=seconds)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
