"""Upper limits of the machine (copies, fills, matrix products), always warm, and timing of calls."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from benchmarks.harness.measure import Case, Figure, Outcome


def seconds_per_call(action: Callable[[], object], device: torch.device, calls: int) -> float:
    """Return the mean seconds of ``calls`` calls in a row, the device's work included.

    On a CPU one call more goes before them: the case that was measured before left the processor's caches and
    the free memory as it needs them. A GPU's caller warms up what it measures.
    """
    if device.type != "cuda":
        action()
        began = time.perf_counter()
        for _ in range(calls):
            action()
        return (time.perf_counter() - began) / calls
    start, end = new_event(), new_event()
    torch.cuda.synchronize(device)
    start.record()
    for _ in range(calls):
        action()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3 / calls


def _warm_seconds(action: Callable[[], object], device: torch.device, calls: int) -> float:
    """Return ``seconds_per_call`` after as many calls that do not count.

    A first product on a GPU loads cuBLAS and chooses an algorithm, and would make ten appear several times
    slower. No case may be judged by such a limit.
    """
    seconds_per_call(action, device, calls)
    return seconds_per_call(action, device, calls)


def new_event() -> torch.cuda.Event:
    """Return an event whose time can be read."""
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def copy_case(device: torch.device, *, megabytes: int, calls: int) -> Case:
    """Return the copy of one block to another on the device; bytes read and written both count."""
    source = torch.zeros(megabytes * 1_000_000, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)

    def measure() -> dict[str, float]:
        seconds = _warm_seconds(lambda: target.copy_(source), device, calls)
        return {"gb_per_s": 2 * source.numel() / seconds / 1e9}

    return Case("copy", measure, {"megabytes": megabytes})


def fill_case(elements: int, dtype: torch.dtype, device: torch.device, *, calls: int) -> Case:
    """Return the fill of one block with a constant; the bytes written count."""
    target = torch.zeros(elements, dtype=dtype, device=device)

    def measure() -> dict[str, float]:
        seconds = _warm_seconds(lambda: target.fill_(1.0), device, calls)
        return {"gb_per_s": target.nbytes / seconds / 1e9}

    return Case("fill", measure, {"megabytes": round(target.nbytes / 1e6)})


def matmul_case(dtype: torch.dtype, device: torch.device, *, size: int, calls: int) -> Case:
    """Return the product of two square matrices: the most FLOP/s that a network could hope for."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)

    def measure() -> dict[str, float]:
        seconds = _warm_seconds(lambda: torch.mm(a, b, out=out), device, calls)
        return {"tflop_per_s": 2 * size**3 / seconds / 1e12}

    return Case("matmul", measure, {"dtype": str(dtype).removeprefix("torch."), "size": size})


def with_share(
    outcomes: Sequence[Outcome], figure: str, limit: Outcome, name: str
) -> list[Outcome]:
    """Return outcomes with a further figure: ``figure`` as a share of the limit's median of the same."""
    most = limit.median(figure)
    if not most:
        return list(outcomes)
    return [
        replace(
            outcome,
            figures={
                **outcome.figures,
                name: Figure.of([value / most for value in outcome.figures[figure].values]),
            },
        )
        if figure in outcome.figures
        else outcome
        for outcome in outcomes
    ]


def ratio(above: float | None, below: float | None) -> float | None:
    """Return above / below, None where either was not measured."""
    return above / below if above is not None and below else None
