"""The driver and the GPUs, as ``nvidia-smi`` reports them."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastrot.doctor.check import Check, good, missing, warning

QUERY = "name,driver_version,memory.total,mig.mode.current"


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver sees it; ``memory`` in MiB."""

    name: str
    driver: str
    memory: int
    mig: bool


def find_gpus(run: Callable[..., Any] = subprocess.run) -> list[Gpu]:
    """Ask ``nvidia-smi``; an empty list where there is none, or it fails."""
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    try:
        answer = run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    gpus = []
    for line in answer.stdout.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 4:
            name, driver, memory, mig = fields
            size = int(memory) if memory.isdigit() else 0
            gpus.append(Gpu(name, driver, size, mig == "Enabled"))
    return gpus


def check_gpus(gpus: Sequence[Gpu]) -> list[Check]:
    """Judge the driver and the GPUs."""
    if not gpus:
        remedy = "if there is a GPU: nvidia-smi must work; in a container, start it with --gpus all"
        cost = "training runs on the CPU: right for the demo, too slow for the paper's runs"
        return [missing("driver", "nvidia-smi finds none", remedy), missing("GPUs", "none", cost)]
    names = ", ".join(f"{gpu.name} ({gpu.memory} MiB)" for gpu in gpus)
    checks = [good("driver", gpus[0].driver), good("GPUs", f"{len(gpus)}: {names}")]
    if any(gpu.mig for gpu in gpus):
        remedy = (
            "a slice has its share of the engines, and CUDA gives one process one slice only: for "
            "several processes a machine, use whole GPUs"
        )
        checks[1] = warning("GPUs", f"{len(gpus)}, MIG is on: {names}", remedy)
    return checks
