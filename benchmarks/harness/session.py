"""A run of several benchmarks: its environment, its file, and how the benchmarks share its time."""

import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.harness.measure import Result
from fastrot.distributed.runtime import Runtime
from fastrot.runs import environment as runs
from pipelines.errors import FastrotError
from pipelines.files import write_file


def environment(runtime: Runtime) -> dict[str, Any]:
    """Return what a reader must know about the machine and the software.

    This is the environment of a training run, and also the processor, the memory and the date.
    """
    found = {
        "date": datetime.now().date().isoformat(),
        "cpu": _cpu_name(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        **runs.environment(runtime),
    }
    # The program's path is specific to this machine.
    return {**found, "command": ["fastrot", *sys.argv[1:]]}


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def content(
    found: Mapping[str, Any], results: Sequence[Result], *, took_s: float
) -> dict[str, Any]:
    """Return results as plain values, with the environment ``found`` first."""
    return {
        "environment": dict(found),
        "took_s": round(took_s, 1),
        "results": [result.to_json() for result in results],
    }


def save(path: Path, found: Mapping[str, Any], results: Sequence[Result], *, took_s: float) -> None:
    """Write results as JSON, with the environment ``found`` first.

    The file is written completely or not at all.

    Raises:
        FastrotError: The file cannot be written.
    """
    values = content(found, results, took_s=took_s)
    write_file(path, json.dumps(values, indent=1) + "\n")


def require_writable(path: Path) -> None:
    """Create the folder of ``path``, and check that ``save`` will be able to write there.

    Otherwise, the user would see the error only after minutes.

    Raises:
        FastrotError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise FastrotError(f"{path} cannot be written: {error.strerror}") from None
    if path.is_dir():
        raise FastrotError(f"{path} cannot be written: it is a folder")


SHARES = {"loader": 0.5, "rotation": 0.08, "train": 0.22, "scaling": 0.12, "startup": 0.08}


def budget_of(
    benchmark: str, left_s: float, still: Sequence[str], shares: Mapping[str, float] = SHARES
) -> float:
    """Return one benchmark's share of the ``left_s`` remaining seconds.

    All benchmarks in ``still``, including this one, share this time.
    """
    return left_s * shares[benchmark] / sum(shares[name] for name in still)
