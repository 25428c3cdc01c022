"""NVIDIA apex's FusedSGD: is it there, is it NVIDIA's, and does it work?

apex is built from source. The package of that name on PyPI is a web toolkit that has nothing to do with
it, and a build without `--cuda_ext` lacks the kernels: both are told apart from the real thing.
"""

import importlib
import importlib.util
from collections.abc import Iterable
from enum import Enum
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

BUILD = (
    "pip install --no-build-isolation --config-settings --build-option=--cpp_ext "
    "--config-settings --build-option=--cuda_ext git+https://github.com/NVIDIA/apex"
)


class ApexKind(Enum):
    """What the name apex stands for in this Python."""

    NVIDIA = "nvidia"
    WITHOUT_EXTENSIONS = "nvidia without extensions"
    UNRELATED = "unrelated"
    NONE = "none"

    def describe(self) -> str:
        """Return what a person should know of it."""
        return {
            ApexKind.NVIDIA: "NVIDIA apex is installed, with its CUDA extensions",
            ApexKind.WITHOUT_EXTENSIONS: (
                "NVIDIA apex is installed, but its CUDA extension amp_C cannot be imported: build it "
                f"again for this torch ({BUILD})"
            ),
            ApexKind.UNRELATED: (
                "the installed package apex is not NVIDIA's but an unrelated one of that name, such as "
                f"PyPI's web toolkit: pip uninstall apex; NVIDIA's is built from source ({BUILD})"
            ),
            ApexKind.NONE: f"NVIDIA apex is not installed; it is built from source ({BUILD})",
        }[self]


def find_apex() -> ApexKind:
    """Look for apex; nothing of an unrelated package is imported."""
    spec = _spec("apex")
    if spec is None:
        return ApexKind.NONE
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if not any((folder / "optimizers" / "fused_sgd.py").is_file() for folder in folders):
        return ApexKind.UNRELATED
    try:
        importlib.import_module("amp_C")  # links to torch, which is imported above
    except ImportError:
        return ApexKind.WITHOUT_EXTENSIONS
    return ApexKind.NVIDIA


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        # A module in sys.modules without a spec: something put it there by hand.
        return None


def fused_sgd(params: Iterable[Any], **options: float) -> Optimizer:
    """Return apex's FusedSGD; the arguments are those of torch's SGD.

    Its state is `momentum_buffer`, as torch's SGD has it, so either goes on from the other's checkpoint.
    """
    optimizer: Optimizer = importlib.import_module("apex.optimizers").FusedSGD(params, **options)
    return optimizer


def trial(device: torch.device) -> str | None:
    """Make a step of FusedSGD on a weight like the network's; return why that fails, None where it works.

    A build for another GPU or torch imports, and fails when first used; older ones refuse weights in
    channels_last_3d.
    """
    weight = torch.ones(2, 3, 2, 2, 2, device=device).to(memory_format=torch.channels_last_3d)
    weight.requires_grad_()
    weight.grad = (
        torch.arange(48.0, device=device)
        .view_as(weight)
        .clone(memory_format=torch.channels_last_3d)
    )
    try:
        fused_sgd([weight], lr=0.5).step()
        expected = 1 - 0.5 * weight.grad
        if not torch.allclose(weight, expected):
            return "a step of its FusedSGD gives wrong weights"
    except (ImportError, AttributeError, RuntimeError, TypeError) as error:
        text = str(error).strip()
        return f"a step of its FusedSGD fails: {text.splitlines()[0] if text else type(error).__name__}"
    return None
