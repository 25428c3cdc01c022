"""Normalisation of pixels to network inputs."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_CHANNELS = (3, 4, 8)


@dataclass(frozen=True)
class Pixels:
    """The normalisation ``(pixel - 255 * mean) / (255 * std)``, computed in float32 and rounded once.

    Attributes:
        mean: Per colour, in units where 255 is 1.
        std: Per colour, in the same units.
        dtype: Of the result: float32, bfloat16 or float16.
        channels: Of the result, 3, 4 or 8; channels after the three colours are zero.

    Raises:
        ValueError: A value is not supported.
    """

    mean: Sequence[float]
    std: Sequence[float]
    dtype: torch.dtype
    channels: int = 3

    def __post_init__(self) -> None:
        if self.dtype not in _DTYPES:
            raise ValueError(f"dtype must be float32, bfloat16 or float16, got {self.dtype}")
        if self.channels not in _CHANNELS:
            raise ValueError(f"channels must be 3, 4 or 8, got {self.channels}")
        if len(self.mean) != 3 or len(self.std) != 3:
            counts = f"{len(self.mean)} and {len(self.std)}"
            raise ValueError(f"mean and std need 3 values each, got {counts}")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, got {tuple(self.std)}")

    def offset_and_scale(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return 255 * mean and 1 / (255 * std), (3,) float32 each."""
        return _offset_and_scale(tuple(self.mean), tuple(self.std), device)


@functools.lru_cache(maxsize=8)
def _offset_and_scale(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return both tensors, cached because the host waits for their copy to a GPU."""
    offset = torch.tensor([255.0 * m for m in mean], device=device)
    return offset, torch.tensor([1 / (255 * s) for s in std], device=device)
