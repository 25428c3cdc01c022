"""Memory that a GPU can copy from directly."""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray


def pinned_empty(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return uninitialised memory, pinned if there is a GPU.

    A GPU copies pinned memory without the host. A container may limit how much memory can be pinned
    (``ulimit -l``): the memory is then ordinary, with one warning.
    """
    if torch.cuda.is_available():
        try:
            return torch.empty(shape, dtype=torch.uint8, pin_memory=True).numpy()
        except RuntimeError as error:
            megabytes = np.prod(shape) / 1e6
            reason = str(error).partition("\n")[0]
            warnings.warn(
                f"{megabytes:.0f} MB of memory for clips cannot be pinned ({reason}): copies to the GPU are "
                "slower. Raise the limit of locked memory (ulimit -l, docker run --ulimit memlock=-1)",
                stacklevel=2,
            )
    return np.empty(shape, dtype=np.uint8)
