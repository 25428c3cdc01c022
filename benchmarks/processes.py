"""Runs a program with a time limit, after which nothing of it is left."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


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
