"""Detection, test and construction of NVIDIA apex's fused SGD. Importing this module does not need torch.

NVIDIA's apex is built from source. The package apex on PyPI is an unrelated web toolkit, and a build
without ``APEX_CUDA_EXT=1`` lacks the kernels. Both cases are detected.
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
_REBUILD = f"rebuild it for this GPU and this version of torch ({BUILD})"


class ApexKind(Enum):
    """What is installed under the name apex."""

    NVIDIA = "NVIDIA apex is installed, with its CUDA extensions"
    WITHOUT_EXTENSIONS = (
        f"NVIDIA apex is installed, but its CUDA extension amp_C cannot be imported: {_REBUILD}"
    )
    UNRELATED = (
        "the installed apex is not NVIDIA's, but another package of that name, such as the web toolkit on "
        f"PyPI: run pip uninstall apex, then build NVIDIA's from source ({BUILD})"
    )
    NONE = f"NVIDIA apex is not installed: build it from source ({BUILD})"


def find_apex() -> ApexKind:
    """Detect which apex is installed, without importing an unrelated package.

    NVIDIA's extension links to torch, so torch must be imported first.
    """
    try:
        spec = importlib.util.find_spec("apex")
    except (ImportError, ValueError):  # inserted into sys.modules without a spec
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
    """Return apex's FusedSGD, which takes the arguments of torch's SGD.

    Both keep their state in ``momentum_buffer``, so each can resume from a checkpoint of the other.
    """
    optimizer: Optimizer = importlib.import_module("apex.optimizers").FusedSGD(params, **options)
    return optimizer


def trial(device: "torch.device") -> str | None:
    """Try a step of FusedSGD on a weight like the network's; return why it fails, or None if it works.

    A build for another GPU or torch version imports, but fails on first use; older builds reject weights
    in channels_last_3d.
    """
    import torch

    weight = torch.ones(2, 3, 2, 2, 2, device=device).to(memory_format=torch.channels_last_3d)
    weight.requires_grad_()
    gradient = torch.arange(48.0, device=device).view_as(weight)
    weight.grad = gradient.clone(memory_format=torch.channels_last_3d)
    try:
        fused_sgd([weight], lr=0.5).step()
        if not torch.allclose(weight, 1 - 0.5 * weight.grad):
            return f"a trial step of its FusedSGD gives wrong weights: {_REBUILD}"
    except (ImportError, AttributeError, RuntimeError, TypeError) as error:
        return f"a trial step of its FusedSGD fails ({first_line(error)}): {_REBUILD}"
    return None
