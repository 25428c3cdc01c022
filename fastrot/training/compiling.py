"""torch.compile for training, with a check that it works on this system."""

import warnings

import torch
from torch import nn

from pipelines.errors import UsageError, first_line

BACKEND = "inductor"


def compiled(network: nn.Module, device: torch.device) -> nn.Module:
    """Return ``network`` compiled by torch.compile; both share their weights.

    In a DistributedDataParallel, torch compiles the parts between two gradient exchanges, so that these
    still overlap with the backward pass.

    Raises:
        UsageError: torch.compile does not work on this system. A small function is compiled as a test,
            because a missing compiler would otherwise only fail in the first step.
    """
    try:
        _try(device)
    except Exception as error:  # each stage of the compiler has its own errors
        reason = first_line(error).rstrip(".")
        raise UsageError(
            f"train.compile is true, but torch.compile does not work here: {reason}. On a CPU, install a "
            "C++ compiler (such as g++, or set CXX=...); on a GPU, install triton, a C compiler and the "
            "Python headers; or set train.compile=false."
        ) from None
    network = torch.compile(network, backend=BACKEND)  # type: ignore[assignment]
    return network


def _try(device: torch.device) -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        return (x * 2 + 1).relu()

    # The cache may contain results of an earlier run that had a compiler. torch warns if there is none.
    with warnings.catch_warnings(), torch.compiler.config.patch(force_disable_caches=True):  # type: ignore[attr-defined]
        warnings.simplefilter("ignore")
        torch.compile(function, backend=BACKEND)(torch.ones(2, 2, device=device))
