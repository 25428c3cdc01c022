"""The option ``--json``: standard output contains one JSON value and nothing else."""

import contextlib
import ctypes
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

Emit = Callable[[Any], None]
"""Takes the value to print, of plain values and paths. Without ``--json`` it does nothing."""


@contextlib.contextmanager
def json_output(asked: bool) -> Iterator[Emit]:
    """Print the value that the context emits to standard output, and everything else to standard error.

    That includes what other processes print, such as those of torchrun. If an error ends the context, nothing
    is printed to standard output. Numbers that are not finite are null: JSON has no NaN or infinity.

    Args:
        asked: Whether ``--json`` was given. If not, output is unchanged and the value is ignored.
    """
    if not asked:
        yield lambda value: None
        return
    values: list[Any] = []
    with contextlib.redirect_stdout(sys.stderr), _descriptor_of_stdout_to_stderr():
        yield values.append
    for value in values:
        text = json.dumps(value, default=os.fspath)
        finite = json.loads(text, parse_constant=lambda name: None)
        print(json.dumps(finite, allow_nan=False))


@contextlib.contextmanager
def _descriptor_of_stdout_to_stderr() -> Iterator[None]:
    """Redirect the descriptor too: other processes inherit it."""
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        # Text that C libraries have printed to a pipe may still be in a buffer of this process.
        ctypes.CDLL(None).fflush(None)
        os.dup2(stdout, 1)
        os.close(stdout)
