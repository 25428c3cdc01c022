"""The machine and the software that a run's results depend on."""

import os
import platform
import sys
from typing import Any

import torch

from fastrot.distributed.runtime import Runtime
from fastrot.version import __version__, installed

PACKAGES = ("torch", "numpy", "av", "nvidia-dali-cuda120", "nvidia-dali-cuda130", "triton")


def environment(runtime: Runtime) -> dict[str, Any]:
    """Return the machine and the software used for the results, as plain values."""
    gpu = runtime.device.type == "cuda"
    return {
        "fastrot": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions(),
        "cuda": torch.version.cuda if gpu else None,
        "cudnn": torch.backends.cudnn.version() if gpu else None,  # type: ignore[no-untyped-call]
        "device": torch.cuda.get_device_name(runtime.device) if gpu else "cpu",
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": runtime.threads,
        "world_size": runtime.world,
        "precision": runtime.precision,
        "command": sys.argv,
    }


def versions() -> dict[str, str]:
    """Return the versions of the installed packages that results depend on."""
    return installed(PACKAGES)
