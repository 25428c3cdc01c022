"""Whether faster forms of parts of the training step are faster on this GPU, and how exact they are."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from benchmarks.acceptance.measures import measure, options_of
from benchmarks.acceptance.rows import Turn
from benchmarks.candidates.pairs import CANDIDATES, Pair, Sizes
from benchmarks.harness.limits import seconds_per_call
from benchmarks.harness.measure import Case, NotHere

CALLS = 10


def run(turn: Turn) -> None:
    """Time each candidate and what it would replace, forward and backward, on 32 videos' clips."""
    with options_of(turn) as options:
        if options.device.type == "cuda" and not turn.quick:
            sizes = Sizes(32, 16, 112, options.device, options.runtime.dtype)
        else:
            sizes = Sizes(1, 2, 16, options.device, options.runtime.dtype)
        # One candidate after another, so that a kill or a lack of memory leaves those before it.
        for name, make in CANDIDATES.items():
            measure(turn, [Case(name, partial(compare, make, sizes))])


def compare(make: Callable[[Sizes], Pair], sizes: Sizes) -> Mapping[str, float]:
    """Return the milliseconds of both ways, and the mean difference of their results.

    Raises:
        NotHere: The candidate needs a package that is not installed.
    """
    try:
        pair = make(sizes)
    except ImportError as error:
        raise NotHere(str(error)) from None
    expected, got = pair.plain().detach().float(), pair.candidate().detach().float()
    difference = (got - expected).abs().mean() / expected.abs().mean()
    del expected, got
    plain, candidate = (
        _milliseconds(way, pair.inputs, sizes.device) for way in (pair.plain, pair.candidate)
    )
    return {
        "plain_ms": plain,
        "candidate_ms": candidate,
        "times_faster": plain / candidate,
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
