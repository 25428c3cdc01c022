"""Checks of Python and the packages: versions, imports, and compatibility with the driver."""

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
    *(
        "torch",
        "numpy",
        "av",
        "isal",
        "pillow",
        "triton",
        "nvidia-dali-cuda120",
        "nvidia-dali-cuda130",
    ),
    *("safetensors", "tensorboard", "wandb", "matplotlib"),
)
OLDEST_TORCH = (2, 10)
# The oldest driver of each CUDA major version (NVIDIA's table of compatibility; Linux).
OLDEST_DRIVER = {12: 525, 13: 580}


@dataclass(frozen=True)
class Software:
    """The installed software.

    Attributes:
        python: Version of the interpreter.
        packages: Versions of those of PACKAGES that are installed.
        errors: Import errors of torch, DALI, PyAV and Pillow, by "torch", "dali", "av", "pillow"; no entry if
            the import works.
        cuda: CUDA version that torch was built for; None for a CPU build.
        cuda_works: Whether torch sees a GPU.
        apex: Which apex is installed.
    """

    python: tuple[int, int, int]
    packages: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)
    cuda: str | None = None
    cuda_works: bool = False
    apex: ApexKind = ApexKind.NONE


def find_software(load: Callable[[str], Any] = importlib.import_module) -> Software:
    """Find the versions of the interpreter and the packages. Imports torch, DALI, PyAV and Pillow."""
    errors: dict[str, str] = {}
    modules: dict[str, Any] = {}
    for name, module in (
        ("torch", "torch"),
        ("dali", "nvidia.dali"),
        ("av", "av"),
        ("pillow", "PIL"),
    ):
        try:
            modules[name] = load(module)
        # A library built for another CUDA or C library raises any of these.
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
    """Check the packages, given the GPUs of the machine; without GPUs, not what only GPUs use."""
    return [
        good("Python", ".".join(map(str, software.python))),
        _check_torch(software),
        *([_check_cuda(software, gpus)] if gpus else []),
        _check_dali(software, gpus),
        _check_encoder(software, "PyAV", "av"),
        _check_encoder(software, "Pillow", "pillow"),
        *([_check_triton(software), _check_apex(software.apex)] if gpus else []),
        *(_check_extra(software, name, cost) for name, cost in EXTRAS.items()),
    ]


EXTRAS = {
    "safetensors": "`fastrot weights` supports .pt only: pip install safetensors",
    "tensorboard": "no TensorBoard curves (metrics.jsonl has the same numbers): pip install tensorboard",
    "wandb": "no logs in Weights & Biases (metrics.jsonl has the same numbers): pip install wandb",
    "matplotlib": "no images of confusion matrices and charts: pip install matplotlib",
}


def _check_extra(software: Software, name: str, cost: str) -> Check:
    version = software.packages.get(name)
    return good(name, version) if version else missing(name, "not installed", cost)


def _check_torch(software: Software) -> Check:
    version = software.packages.get("torch")
    if error := software.errors.get("torch"):
        found = f"{version} cannot be imported: {error}" if version else "not installed"
        return missing("torch", found, "pip install torch (see pytorch.org for CUDA)", stops=True)
    found = f"{version}, for {f'CUDA {software.cuda}' if software.cuda else 'the CPU only'}"
    if _numbers(version or "0") < OLDEST_TORCH:
        remedy = "3D convolutions with AMP were slow or wrong in 2.9: install 2.10 or newer"
        return warning("torch", found, remedy)
    return good("torch", found)


def _check_cuda(software: Software, gpus: Sequence[Gpu]) -> Check:
    if "torch" in software.errors:
        return missing("CUDA", "unknown without torch", "see torch")
    if software.cuda is None:
        remedy = "this torch cannot use the GPU: install a CUDA build (see pytorch.org)"
        return missing("CUDA", "this torch was built without CUDA", remedy, stops=True)
    oldest = OLDEST_DRIVER.get(_numbers(software.cuda)[0], 0)
    if _numbers(gpus[0].driver)[0] < oldest:
        remedy = (
            f"it needs driver {oldest} or newer: update the driver, or install a torch for an older CUDA "
            "together with nvidia-dali-cuda120"
        )
        found = f"{software.cuda}, but the driver {gpus[0].driver} is too old for it"
        return warning("CUDA", found, remedy, stops=True)
    if not software.cuda_works:
        remedy = "nvidia-smi sees a GPU, but torch does not: check CUDA_VISIBLE_DEVICES"
        return warning("CUDA", f"{software.cuda} cannot be initialised", remedy, stops=True)
    return good("CUDA", software.cuda)


def _check_dali(software: Software, gpus: Sequence[Gpu]) -> Check:
    builds = [name for name in software.packages if name.startswith("nvidia-dali")]
    found = ", ".join(f"{name} {software.packages[name]}" for name in builds) or "not installed"
    if len(builds) > 1:
        remedy = (
            "they contain the same files: pip uninstall both, then install the one for the driver"
        )
        return warning("DALI", found, remedy, stops="dali" in software.errors)
    if error := software.errors.get("dali"):
        remedy = (
            "pip install nvidia-dali-cuda120 (driver 525 or newer) or nvidia-dali-cuda130 (580)"
        )
        if builds:
            found += f" cannot be imported: {error}"
        return missing("DALI", found, remedy, stops=True)
    if gpus and "nvidia-dali-cuda130" in builds and _numbers(gpus[0].driver)[0] < 580:
        remedy = "pip uninstall nvidia-dali-cuda130, pip install nvidia-dali-cuda120"
        return warning("DALI", f"{found}, but the driver is too old for it", remedy, stops=True)
    return good("DALI", found if builds else "part of this container")


def _check_encoder(software: Software, name: str, package: str) -> Check:
    """Check a package that prepare needs to decode or encode videos."""
    if error := software.errors.get(package):
        cost = f"no videos can be prepared here (training on stores works): pip install {package}"
        return missing(name, error, cost)
    return good(name, software.packages.get(package, "a custom build"))


def _check_triton(software: Software) -> Check:
    version = software.packages.get("triton")
    if version:
        return good("Triton", version)
    cost = "torch computes the rotations, in several passes over memory: pip install triton"
    return missing("Triton", "not installed", cost)


def _check_apex(apex: ApexKind) -> Check:
    if apex is ApexKind.UNRELATED:
        return warning("apex", "an unrelated package of the same name", apex.value)
    if apex is ApexKind.WITHOUT_EXTENSIONS:
        return warning("apex", "NVIDIA's, without its CUDA extensions", apex.value)
    if apex is ApexKind.NONE:
        return missing("apex", "not installed", "optional: torch's fused SGD is used")
    return good("apex", "NVIDIA's, with its CUDA extensions")


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: "2.10.0a0+b4e" is (2, 10, 0)."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else (0,)
