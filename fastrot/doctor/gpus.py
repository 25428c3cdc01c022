"""Checks of the driver and the GPUs, as reported by ``nvidia-smi``."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastrot.doctor.check import Check, good, missing, warning

QUERY = "name,driver_version,memory.total,mig.mode.current"


@dataclass(frozen=True)
class Gpu:
    """A GPU as reported by the driver; ``memory`` in MiB."""

    name: str
    driver: str
    memory: int
    mig: bool


def find_gpus(run: Callable[..., Any] = subprocess.run) -> list[Gpu]:
    """Query ``nvidia-smi``; return an empty list if it is missing or fails."""
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
    """Check the driver and the GPUs; without GPUs, one row names all that is not checked."""
    if not gpus:
        cost = (
            "training runs on the CPU: fast enough for the demo, too slow for the paper's runs. If there is "
            "a GPU, nvidia-smi must work; start containers with --gpus all"
        )
        found = "nvidia-smi finds none; not checked: driver, CUDA, apex, the GPU's JPEG decoder, NCCL, NVLink"
        return [missing("GPUs", found, cost)]
    names = ", ".join(f"{gpu.name} ({gpu.memory} MiB)" for gpu in gpus)
    checks = [good("driver", gpus[0].driver), good("GPUs", f"{len(gpus)}: {names}")]
    if any(gpu.mig for gpu in gpus):
        remedy = (
            "a MIG slice has only part of the GPU's engines, and CUDA gives a process one slice only: use "
            "whole GPUs for several processes per machine"
        )
        checks[1] = warning("GPUs", f"{len(gpus)}, with MIG enabled: {names}", remedy)
    return checks
