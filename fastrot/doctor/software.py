"""Python and the packages: which are here, do they import, do they suit each other and the driver."""

import importlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastrot.doctor.check import Check, good, missing, warning
from fastrot.doctor.gpus import Gpu
from fastrot.training.apex import ApexKind, find_apex
from fastrot.version import installed
from pipelines.errors import first_line

PACKAGES = (
    *("torch", "numpy", "av", "isal", "triton", "nvidia-dali-cuda120", "nvidia-dali-cuda130"),
    *("safetensors", "tensorboard", "matplotlib"),
)
OLDEST_TORCH = (2, 10)
# The oldest driver of each CUDA major version (NVIDIA's table of compatibility; Linux).
OLDEST_DRIVER = {12: 525, 13: 580}


@dataclass(frozen=True)
class Software:
    """What is installed.

    Attributes:
        python: the interpreter's version.
        packages: the version of each of PACKAGES that is installed.
        errors: why torch, DALI or PyAV do not import, by "torch", "dali", "av"; absent where they do.
        cuda: the CUDA that torch was built for; None for a CPU build.
        cuda_works: whether torch sees a GPU.
        apex: which apex.
    """

    python: tuple[int, int, int]
    packages: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)
    cuda: str | None = None
    cuda_works: bool = False
    apex: ApexKind = ApexKind.NONE


def find_software(load: Callable[[str], Any] = importlib.import_module) -> Software:
    """Look at the interpreter and the packages. Imports torch, DALI and PyAV, or notes why it cannot."""
    errors: dict[str, str] = {}
    modules: dict[str, Any] = {}
    for name, module in (("torch", "torch"), ("dali", "nvidia.dali"), ("av", "av")):
        try:
            modules[name] = load(module)
        # A library of another CUDA or of another C library shows as any of these.
        except (ImportError, OSError, RuntimeError) as error:
            errors[name] = first_line(error)
    torch = modules.get("torch")
    return Software(
        python=sys.version_info[:3],
        packages=installed(PACKAGES),
        errors=errors,
        cuda=torch.version.cuda if torch else None,
        cuda_works=bool(torch and torch.cuda.is_available()),
        apex=find_apex(),
    )


def check_software(software: Software, gpus: Sequence[Gpu]) -> list[Check]:
    """Judge the packages, beside the GPUs of the machine."""
    return [
        good("Python", ".".join(map(str, software.python))),
        _check_torch(software),
        _check_cuda(software, gpus),
        _check_dali(software, gpus),
        _check_av(software),
        _check_triton(software, gpus),
        _check_apex(software.apex, gpus),
        *(_check_extra(software, name, cost) for name, cost in EXTRAS.items()),
    ]


EXTRAS = {
    "safetensors": "`fastrot weights` writes and reads .pt only: pip install safetensors",
    "tensorboard": "no curves in TensorBoard; metrics.jsonl has them all: pip install tensorboard",
    "matplotlib": "no pictures of confusion matrices and charts: pip install matplotlib",
}


def _check_extra(software: Software, name: str, cost: str) -> Check:
    version = software.packages.get(name)
    return good(name, version) if version else missing(name, "not installed", cost)


def _check_torch(software: Software) -> Check:
    version = software.packages.get("torch")
    if error := software.errors.get("torch"):
        found = f"{version} does not import: {error}" if version else "not installed"
        return missing("torch", found, "pip install torch (see pytorch.org for CUDA)", stops=True)
    found = f"{version}, for {f'CUDA {software.cuda}' if software.cuda else 'the CPU only'}"
    if _numbers(version or "0") < OLDEST_TORCH:
        remedy = "3D convolutions with AMP were slow or wrong in 2.9: install 2.10 or newer"
        return warning("torch", found, remedy)
    return good("torch", found)


def _check_cuda(software: Software, gpus: Sequence[Gpu]) -> Check:
    if not gpus:
        return missing("CUDA", "no GPU", "everything runs on the CPU")
    if "torch" in software.errors:
        return missing("CUDA", "not known without torch", "see torch")
    if software.cuda is None:
        remedy = "there is a GPU that this torch cannot use: install a CUDA build (see pytorch.org)"
        return missing("CUDA", "this torch was built without", remedy, stops=True)
    oldest = OLDEST_DRIVER.get(_numbers(software.cuda)[0], 0)
    if _numbers(gpus[0].driver)[0] < oldest:
        remedy = (
            f"it needs a driver from {oldest} on: update the driver, or install a torch for an older "
            "CUDA, beside nvidia-dali-cuda120"
        )
        found = f"{software.cuda}, for which the driver {gpus[0].driver} is too old"
        return warning("CUDA", found, remedy, stops=True)
    if not software.cuda_works:
        remedy = "nvidia-smi sees a GPU, torch does not: is CUDA_VISIBLE_DEVICES set to none?"
        return warning("CUDA", f"{software.cuda} does not start", remedy, stops=True)
    return good("CUDA", software.cuda)


def _check_dali(software: Software, gpus: Sequence[Gpu]) -> Check:
    builds = [name for name in software.packages if name.startswith("nvidia-dali")]
    found = ", ".join(f"{name} {software.packages[name]}" for name in builds) or "not installed"
    if len(builds) > 1:
        remedy = "they own the same files: pip uninstall both, then install the driver's one"
        return warning("DALI", found, remedy, stops="dali" in software.errors)
    if error := software.errors.get("dali"):
        remedy = "pip install nvidia-dali-cuda120 (driver from 525 on) or nvidia-dali-cuda130 (580)"
        if builds:
            found += f" does not import: {error}"
        return missing("DALI", found, remedy, stops=True)
    if gpus and "nvidia-dali-cuda130" in builds and _numbers(gpus[0].driver)[0] < 580:
        remedy = "pip uninstall nvidia-dali-cuda130, pip install nvidia-dali-cuda120"
        return warning("DALI", f"{found}, for which the driver is too old", remedy, stops=True)
    return good("DALI", found if builds else "part of this container")


def _check_av(software: Software) -> Check:
    if error := software.errors.get("av"):
        cost = "videos cannot be prepared here (stores can be trained on): pip install av"
        return missing("PyAV", error, cost)
    return good("PyAV", software.packages.get("av", "a build of its own"))


def _check_triton(software: Software, gpus: Sequence[Gpu]) -> Check:
    version = software.packages.get("triton")
    if version:
        return good("Triton", version if gpus else f"{version}, not used without a GPU")
    cost = (
        "rotations are made by torch, in several passes over memory: pip install triton"
        if gpus
        else "nothing without a GPU"
    )
    return missing("Triton", "not installed", cost)


def _check_apex(apex: ApexKind, gpus: Sequence[Gpu]) -> Check:
    if apex is ApexKind.UNRELATED:
        return warning("apex", "an unrelated package of that name", apex.value)
    if apex is ApexKind.WITHOUT_EXTENSIONS:
        return warning("apex", "NVIDIA's, without its extensions", apex.value)
    if apex is ApexKind.NONE:
        cost = "little: torch's own fused SGD serves" if gpus else "nothing without a GPU"
        return missing("apex", "not installed", cost)
    return good("apex", "NVIDIA's, with its CUDA extensions")


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: "2.10.0a0+b4e" is (2, 10, 0)."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else (0,)
