"""NVIDIA apex's fused SGD: is it installed, does it work here, and making one. Importing this needs no torch.

NVIDIA's apex is built from source. The package of that name on PyPI is an unrelated web toolkit, and a
build without ``APEX_CUDA_EXT=1`` lacks the kernels: both are recognised.
"""

import importlib
import importlib.util
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import first_line

if TYPE_CHECKING:
    import torch
    from torch.optim import Optimizer

BUILD = (
    "APEX_CPP_EXT=1 APEX_CUDA_EXT=1 pip install -v --no-build-isolation "
    "git+https://github.com/NVIDIA/apex"
)


class ApexKind(Enum):
    """What the name apex stands for in this Python."""

    NVIDIA = "NVIDIA apex is installed, with its CUDA extensions"
    WITHOUT_EXTENSIONS = (
        "NVIDIA apex is installed, but its CUDA extension amp_C cannot be imported: build it "
        f"again for this torch ({BUILD})"
    )
    UNRELATED = (
        "the installed package apex is not NVIDIA's but an unrelated one of that name, such as "
        f"PyPI's web toolkit: pip uninstall apex; NVIDIA's is built from source ({BUILD})"
    )
    NONE = f"NVIDIA apex is not installed; it is built from source ({BUILD})"


def find_apex() -> ApexKind:
    """Look for apex, importing nothing of an unrelated package.

    NVIDIA's extension links to torch: import that first.
    """
    try:
        spec = importlib.util.find_spec("apex")
    except (ImportError, ValueError):  # put into sys.modules by hand, without a spec
        spec = None
    if spec is None:
        return ApexKind.NONE
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if not any((folder / "optimizers" / "fused_sgd.py").is_file() for folder in folders):
        return ApexKind.UNRELATED
    try:
        importlib.import_module("amp_C")
    except ImportError:
        return ApexKind.WITHOUT_EXTENSIONS
    return ApexKind.NVIDIA


def fused_sgd(params: Iterable[Any], **options: float) -> "Optimizer":
    """Return apex's FusedSGD; the arguments are those of torch's SGD.

    Its state is ``momentum_buffer``, like that of torch's SGD, so either resumes from the other's
    checkpoint.
    """
    optimizer: Optimizer = importlib.import_module("apex.optimizers").FusedSGD(params, **options)
    return optimizer


def trial(device: "torch.device") -> str | None:
    """Make a step of FusedSGD on a weight like the network's; return why it fails, None where it works.

    A build for another GPU or torch imports, and fails on first use; older ones refuse weights in
    channels_last_3d.
    """
    import torch

    weight = torch.ones(2, 3, 2, 2, 2, device=device).to(memory_format=torch.channels_last_3d)
    weight.requires_grad_()
    gradient = torch.arange(48.0, device=device).view_as(weight)
    weight.grad = gradient.clone(memory_format=torch.channels_last_3d)
    try:
        fused_sgd([weight], lr=0.5).step()
        if not torch.allclose(weight, 1 - 0.5 * weight.grad):
            return "a step of its FusedSGD gives wrong weights"
    except (ImportError, AttributeError, RuntimeError, TypeError) as error:
        return f"a step of its FusedSGD fails: {first_line(error)}"
    return None
