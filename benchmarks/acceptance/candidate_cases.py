"""What the stem's forms for a GPU gain over the plain ones on this GPU, and how exact they are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.acceptance.measures import measure, options_of
from benchmarks.acceptance.rows import Turn
from benchmarks.harness.limits import seconds_per_call
from benchmarks.harness.measure import Case, NotHere
from fastrot.models.batch_norm import BatchNorm
from fastrot.models.resnet3d import ResNet3D, Stem
from fastrot.models.stem_pairs import stem_on_pairs
from fastrot.models.stem_tail import stem_tail, tail_fits

CALLS = 10
REPEATS = 2
WIDTH = 64


@dataclass(frozen=True)
class Sizes:
    """The rotated clips, and their device and dtype."""

    clips: int
    frames: int
    size: int
    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True)
class Ways:
    """Two ways to the same result, of the same weights.

    Attributes:
        plain: What a CPU does.
        ours: What the product does on a GPU.
        inputs: The tensors whose gradients both ways compute.
    """

    plain: Callable[[], Tensor]
    ours: Callable[[], Tensor]
    inputs: tuple[Tensor, ...]


def pairs_of_columns(sizes: Sizes) -> Ways:
    """Return both ways of the convolution."""
    stem, x = Stem(WIDTH).to(sizes.dtype), _clips(sizes, 3, sizes.size)
    _place(stem, sizes)
    stem.on_pairs = False
    return Ways(partial(stem, x), lambda: stem_on_pairs(x, stem.weight), (stem.weight,))


def fused_tail(sizes: Sizes) -> Ways:
    """Return BatchNorm, ReLU and max-pool on the stem's output, apart and as one op.

    Raises:
        NotHere: There is no GPU or no Triton.
    """
    x = _clips(sizes, WIDTH, (sizes.size + 1) // 2).requires_grad_()
    norm = BatchNorm(WIDTH).to(sizes.device)
    if not tail_fits(x, norm):
        raise NotHere("the op needs a GPU and Triton")

    def plain() -> Tensor:
        return F.max_pool3d(norm(x).relu_(), 3, stride=2, padding=1)

    return Ways(plain, lambda: stem_tail(x, norm), (x, norm.weight, norm.bias))


def first_block(sizes: Sizes) -> Ways:
    """Return the network's first block with and without both."""
    network = ResNet3D(10, WIDTH)
    _place(network, sizes)
    x = _clips(sizes, 3, sizes.size)
    gpu = sizes.device.type == "cuda"

    def block(on: bool) -> Tensor:
        network.conv1.on_pairs = network.fused_tail = on
        with torch.autocast(sizes.device.type, sizes.dtype, enabled=gpu):
            return network.first_block(x)

    weights = (network.conv1.weight, network.bn1.weight, network.bn1.bias)
    return Ways(partial(block, False), partial(block, True), weights)


CASES: dict[str, Callable[[Sizes], Ways]] = {
    "stem on pairs of columns": pairs_of_columns,
    "stem's tail in one kernel": fused_tail,
    "first block with both": first_block,
}


def run(turn: Turn) -> None:
    """Time both ways, forward and backward, on the clips of 32 videos."""
    with options_of(turn) as options:
        if options.device.type == "cuda" and not turn.quick:
            sizes = Sizes(4 * 32, 16, 112, options.device, options.runtime.dtype)
        else:
            sizes = Sizes(4, 2, 16, options.device, options.runtime.dtype)
        # One after another, so that a kill or a lack of memory leaves those before it.
        for name, make in CASES.items():
            measure(turn, [Case(name, partial(compare, make, sizes))], repeats=REPEATS)


def compare(make: Callable[[Sizes], Ways], sizes: Sizes) -> Mapping[str, float]:
    """Return the milliseconds of both ways, and the mean difference of their results.

    Raises:
        NotHere: This machine cannot run the product's way.
    """
    ways = make(sizes)
    expected, got = ways.plain().detach().float(), ways.ours().detach().float()
    difference = (got - expected).abs().mean() / expected.abs().mean()
    del expected, got
    plain, ours = (_milliseconds(way, ways.inputs, sizes.device) for way in (ways.plain, ways.ours))
    return {
        "plain_ms": plain,
        "ours_ms": ours,
        "times_faster": plain / ours,
        "relative_difference": float(difference),
    }


def _milliseconds(
    way: Callable[[], Tensor], inputs: Sequence[Tensor], device: torch.device
) -> float:
    gradient = torch.ones_like(way())

    def step() -> None:
        # ``backward`` would add to the last call's gradients. The stem's output, which is inside the network,
        # has none to add to.
        torch.autograd.grad(way(), inputs, gradient)

    step()  # compiles, and searches for kernels
    return 1e3 * seconds_per_call(step, device, CALLS if device.type == "cuda" else 1)


def _place(module: nn.Module, sizes: Sizes) -> None:
    module.to(sizes.device)
    nn.utils.convert_conv3d_weight_memory_format(module, torch.channels_last_3d)


def _clips(sizes: Sizes, channels: int, side: int) -> Tensor:
    shape = (sizes.clips, sizes.frames, side, side, channels)
    return torch.randn(shape, device=sizes.device, dtype=sizes.dtype).permute(0, 4, 1, 2, 3)
