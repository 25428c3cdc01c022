"""One training step of the pretext task: its duration, its parts, and its share of the hardware limit.

Our step is the one of real runs, with one thing off or changed at a time. It is compared with a plain
PyTorch loop. The limit is a product of large matrices in the step's precision; on a GPU also the time that
the step needs at the rates of such products and of copies.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from benchmarks.harness.compared import Goal
from benchmarks.harness.limits import copy_case, matmul_case, ratio, with_share
from benchmarks.harness.measure import Figure, Options, Outcome, Result, interleave, repeated
from benchmarks.training.step_bound import step_bound_ms
from benchmarks.training.train_cases import (
    CONTIGUOUS,
    FULL,
    ON_CPU,
    OURS,
    PLAIN,
    QUICK,
    REAL,
    Sizes,
    allocator_cases,
    compiled_case,
    real_data_cases,
    step_cases,
    variant_cases,
)
from fastrot.distributed.allocator import keep_freed_memory

BOUND = "step bound"
"""The name of the limit that ``step_bound_ms`` gives."""

COPY_MB = 500


def run(options: Options, *, budget_s: float) -> Result:
    """Measure the step, with one thing changed at a time."""
    gpu = options.device.type == "cuda"
    sizes = QUICK if options.quick else FULL if gpu else ON_CPU
    if not gpu:
        keep_freed_memory()
    ends = time.monotonic() + budget_s
    with ExitStack() as stack:
        limits = [
            matmul_case(
                options.runtime.dtype, options.device, size=sizes.matmul, calls=10 if gpu else 1
            ),
            *([copy_case(options.device, megabytes=COPY_MB, calls=10)] if gpu else []),
        ]
        every = ("raw", "mjpeg", "h264") if gpu else ("mjpeg",)
        codecs = [codec for codec in every if options.wants(f"{REAL}: {codec}")]
        # What the goals need comes first, and last what may take all the time that there is.
        cases = [
            *step_cases(sizes, options.runtime),
            *(real_data_cases(sizes, options, codecs, stack) if codecs else []),
            *variant_cases(sizes, options.runtime),
            *([] if gpu else allocator_cases(sizes, options.runtime, stack)),
            compiled_case(sizes, options.runtime),
        ]
        cases = [case for case in cases if options.wants(case.name)]

        def keep(outcomes: dict[str, Outcome]) -> None:
            if options.keep is not None:
                options.keep(_result(outcomes, len(limits), sizes, options))

        outcomes = interleave(
            [*limits, *cases],
            budget_s=ends - time.monotonic(),
            warm_up=options.warm_up,
            what="train",
            shown=options.shown,
            keep=keep,
        )
    return _result(outcomes, len(limits), sizes, options)


def _result(found: Mapping[str, Outcome], first: int, sizes: Sizes, options: Options) -> Result:
    """Return the result of outcomes, the ``first`` of which are limits."""
    gpu = options.device.type == "cuda"
    limits, cases = list(found.values())[:first], list(found.values())[first:]
    measured = with_share(cases, "tflop_per_s", limits[0], "share_of_matmul")
    limits += bound(limits, sizes, options.runtime.dtype.itemsize)
    measured = with_share(measured, "ms_per_step", limits[-1], "times_bound")
    return Result(
        benchmark="train",
        settings={
            "depth": sizes.depth,
            "width": sizes.width,
            "frames": sizes.frames,
            "crop": sizes.crop,
            "videos_per_step": sizes.batch,
            "clips_per_step": 4 * sizes.batch,
            "gflop_per_clip": sizes.flop_per_clip / 1e9,
        },
        cases=measured,
        limits=limits,
        goals=goals(measured, limits) if gpu and not options.quick else [],
        notes=_notes(gpu=gpu),
    )


def bound(limits: Sequence[Outcome], sizes: Sizes, value_bytes: int) -> list[Outcome]:
    """Return the step's bound as a further limit; none if the rate of products or copies is missing."""
    by_name = {outcome.name: outcome for outcome in limits}
    rates = {
        figure: by_name[name].median(figure)
        for name, figure in (("matmul", "tflop_per_s"), ("copy", "gb_per_s"))
        if name in by_name
    }
    tflop_per_s, gb_per_s = rates.get("tflop_per_s"), rates.get("gb_per_s")
    if not tflop_per_s or not gb_per_s:
        return []
    ms = step_bound_ms(sizes, value_bytes, tflop_per_s=tflop_per_s, gb_per_s=gb_per_s)
    repeats = min(by_name[name].repeats for name in ("matmul", "copy"))
    return [Outcome(BOUND, repeats=repeats, figures={"ms_per_step": Figure.of([ms])})]


def goals(measured: Sequence[Outcome], limits: Sequence[Outcome]) -> list[Goal]:
    """Return what a GPU of the H100 class should reach: the step with the options that suit it best.

    The bound is that of an eager step whose stem's tail is one op (docs/gpu.md).

    Args:
        measured: The steps.
        limits: The limits, of which the bound is made.
    """
    by_name = {outcome.name: outcome for outcome in measured}
    rates = {name: outcome.median("clips_per_s") for name, outcome in by_name.items()}
    alike = [name for name in rates if name != PLAIN and not name.startswith(REAL)]
    if OURS not in rates:
        return []
    best = max(alike, key=lambda name: rates[name] or 0.0)

    def over(text: str, name: str, other: str, wanted: float) -> Goal:
        judged = repeated(by_name[name], by_name[other])
        return Goal(text, ratio(rates[name], rates[other]), wanted, judged=judged)

    bounds = [limit for limit in limits if limit.name == BOUND]
    return [
        Goal(
            f"ms of a step over its bound: {best}",
            by_name[best].median("times_bound"),
            1.2,
            at_most=True,
            judged=repeated(by_name[best], *bounds),
        ),
        *(
            over(f"clips/s over {peer}: {best}", best, peer, 1.5)
            for peer in (CONTIGUOUS, PLAIN)
            if peer in rates
        ),
        # Nobody promises it of h264, which the GPU's decoders bound.
        *(
            over(f"clips/s with {codec} over synthetic data", name, OURS, 0.97)
            for codec in ("raw", "mjpeg")
            if (name := f"{REAL}: {codec}") in rates
        ),
    ]


def _notes(*, gpu: bool) -> list[str]:
    notes = [
        "TFLOP/s count useful operations only: 2 a multiply-add, no input gradient of the stem."
    ]
    if not gpu:
        return [
            *notes,
            "A small network on small clips, so that it fits the budget: no figure of the full one.",
        ]
    return [*notes, "peak_gb is what torch allocates for the case, without what DALI takes."]
