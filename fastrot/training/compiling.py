"""torch.compile for the network that is trained, and whether it works here."""

import warnings

import torch
from torch import nn

from pipelines.errors import UsageError, first_line

BACKEND = "inductor"


def compiled(network: nn.Module, device: torch.device) -> nn.Module:
    """Return a callable that trains ``network`` through torch.compile; the weights are the network's own.

    Of a DistributedDataParallel, torch compiles the parts between two exchanges of gradients, so that
    these overlap the backward pass as without compiling.

    Raises:
        UsageError: it does not work here. A function is compiled to find out, since a missing compiler
            would show in the middle of the first step otherwise.
    """
    try:
        _try(device)
    except Exception as error:  # each stage of the compiler has errors of its own
        reason = first_line(error).rstrip(".")
        raise UsageError(
            f"train.compile is true, but torch.compile does not work here: {reason}. On a CPU it "
            "needs a C++ compiler (such as g++, or CXX=...), on a GPU triton, a C compiler and Python's "
            "headers; train.compile=false needs none of them"
        ) from None
    network = torch.compile(network, backend=BACKEND)  # type: ignore[assignment]
    return network


def _try(device: torch.device) -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        return (x * 2 + 1).relu()

    # Not from the cache of an earlier run, when there was a compiler; torch warns that there is none.
    with warnings.catch_warnings(), torch.compiler.config.patch(force_disable_caches=True):  # type: ignore[attr-defined]
        warnings.simplefilter("ignore")
        torch.compile(function, backend=BACKEND)(torch.ones(2, 2, device=device))
