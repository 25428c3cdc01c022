"""The candidates by name, each with the code that it would replace, to be compared and timed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.candidates.stem_pairs import stem_on_pairs
from benchmarks.candidates.stem_turned import stem_of_rotations
from fastrot.models.batch_norm import BatchNorm
from fastrot.models.resnet3d import Stem

WIDTH = 64


@dataclass(frozen=True)
class Sizes:
    """The clips before rotation, and their device and dtype."""

    clips: int
    frames: int
    size: int
    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True)
class Pair:
    """Two ways to the same result, of the same weights.

    Attributes:
        plain: What the product does.
        candidate: What could replace it.
        inputs: The tensors whose gradients both ways compute.
    """

    plain: Callable[[], Tensor]
    candidate: Callable[[], Tensor]
    inputs: tuple[Tensor, ...]


def pairs_of_columns(sizes: Sizes) -> Pair:
    """Return the stem on rotated clips that the rotation op has padded to 4 channels."""
    stem, x = _stem(sizes), _rotated(_clips(sizes))
    padded = F.pad(x.permute(0, 2, 3, 4, 1), (0, 1)).permute(0, 4, 1, 2, 3)
    return Pair(partial(stem, padded), lambda: stem_on_pairs(padded, stem.weight), (stem.weight,))


def turned_kernels(sizes: Sizes) -> Pair:
    """Return the stem on rotated clips, against turned kernels on the clips before rotation."""
    stem, x = _stem(sizes), _clips(sizes)
    return Pair(
        partial(stem, _rotated(x)), lambda: stem_of_rotations(x, stem.weight), (stem.weight,)
    )


def fused_tail(sizes: Sizes) -> Pair:
    """Return BatchNorm, ReLU and max-pool on the stem's output.

    Raises:
        ImportError: There is no Triton.
    """
    from benchmarks.candidates.stem_tail import stem_tail

    half = (sizes.size + 1) // 2
    shape = (4 * sizes.clips, sizes.frames, half, half, WIDTH)
    x = torch.randn(shape, device=sizes.device, dtype=sizes.dtype).permute(0, 4, 1, 2, 3)
    x.requires_grad_()
    norm = BatchNorm(WIDTH).to(sizes.device)
    if sizes.dtype == torch.float64:
        norm.double()

    def plain() -> Tensor:
        return F.max_pool3d(norm(x).relu_(), 3, stride=2, padding=1)

    return Pair(plain, lambda: stem_tail(x, norm), (x, norm.weight, norm.bias))


CANDIDATES: dict[str, Callable[[Sizes], Pair]] = {
    "stem on pairs of columns": pairs_of_columns,
    "stem with turned kernels": turned_kernels,
    "stem's tail in one kernel": fused_tail,
}
"""Time ``pair.plain()`` against ``pair.candidate()``, each followed by the gradients of ``pair.inputs``."""


def _stem(sizes: Sizes) -> Stem:
    stem = Stem(WIDTH).to(sizes.device, sizes.dtype)
    return stem.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, no-any-return]


def _clips(sizes: Sizes) -> Tensor:
    shape = (sizes.clips, sizes.frames, sizes.size, sizes.size, 3)
    clips = torch.randn(shape, device=sizes.device, dtype=sizes.dtype)
    return clips.permute(0, 4, 1, 2, 3)


def _rotated(x: Tensor) -> Tensor:
    turned = torch.cat([torch.rot90(x, turn, (3, 4)) for turn in range(4)])
    return turned.contiguous(memory_format=torch.channels_last_3d)
