"""Clips per second for every codec, compared with other loaders and the machine's limits."""

import time
from collections.abc import Mapping, Sequence
from functools import partial

from benchmarks.harness.inputs import open_inputs
from benchmarks.harness.measure import REPEATS, Case, Options, Outcome, Result, interleave
from benchmarks.harness.resident import watch_loader
from benchmarks.loading.goals import goals, ratios, torchcodec_goals
from benchmarks.loading.loader_cases import LoaderCases, Sizes, is_compared
from pipelines.plan import ClipSpec
from pipelines.store.codecs import CODECS

# Of the budget, for the watch over resident memory: of 600 s for all benchmarks some 60, in which two cores
# load 20,000 clips from raw and from mjpeg.
MEMORY_SHARE = 0.2
# Of the rest, for the some 20 cases that are compared with each other. They have more rounds than the some 40
# others, because the intervals of their ratios depend on the number of rounds.
COMPARED_SHARE = 0.6
COMPARED_ROUNDS = 12


def run(options: Options, *, budget_s: float) -> Result:
    """Measure every codec, peer and limit in turn."""
    ends = time.monotonic() + budget_s
    codecs = ("raw", "mjpeg") if options.quick else tuple(CODECS)
    with open_inputs(options, codecs) as inputs:
        left = ends - time.monotonic()
        bench = LoaderCases(options, inputs, _sizes(options, left))
        cases, bounds = bench.cases(), bench.limits()
        first = bench.sizes.frames[0]
        compared = [case for case in cases if is_compared(case.facts, first)]
        # The limits before longer clips: what the goals need, if the budget is short.
        rest = [case for case in [*bounds, *cases] if case not in compared]
        rest.sort(key=lambda case: int(case.facts.get("frames") or first))
        left = (ends - time.monotonic()) * (1 - MEMORY_SHARE)
        rounds = COMPARED_ROUNDS if bench.sizes.repeats > 1 else 1
        found = _interleave(compared, left * COMPARED_SHARE, rounds, options)
        found |= _interleave(rest, left * (1 - COMPARED_SHARE), bench.sizes.repeats, options)
        measured = [found[case.name] for case in cases]
        over_peers = ratios(measured, first)
        watched = _watch_memory(bench, list(inputs.stores), ends - time.monotonic(), options)
        return Result(
            benchmark="loader",
            settings=bench.settings(),
            cases=[*measured, *watched],
            limits=[found[case.name] for case in bounds],
            ratios=over_peers,
            goals=[
                *torchcodec_goals(over_peers, list(inputs.stores)),
                *goals(measured, found, watched, bench.sizes),
            ],
            notes=[
                "Every loader gives batches of random clips, cropped and flipped, as one tensor: "
                "uint8, for DIF int16.",
                "The peers are given our plan's clips, and the same packets in AVI or MP4 files "
                "(.npy for raw).",
                "torchcodec in threads: in this process, from files that were read into memory before. + "
                "DataLoader: in worker processes, from files.",
                "Ratios are of rounds in which both were measured: geometric mean and Student's interval.",
                "The first batch is timed from the loader's making; for processes of a DataLoader, by fork.",
                "A limit's clips are of the first length.",
            ],
        )


def _sizes(options: Options, budget_s: float) -> Sizes:
    if options.quick:
        return Sizes((4,), 4, 0.05, 1, 200)
    # Some 20 compared cases; making a loader and filling its queue take about as long again.
    share = (1 - MEMORY_SHARE) * COMPARED_SHARE
    seconds = min(max(budget_s * share / (20 * COMPARED_ROUNDS) / 2, 0.3), 2.0)
    return Sizes((16, 32, 64), 16, seconds, REPEATS, 20_000)


def _interleave(
    cases: Sequence[Case], budget_s: float, repeats: int, options: Options
) -> dict[str, Outcome]:
    return interleave(
        cases,
        budget_s=budget_s,
        repeats=repeats,
        warm_up=False,  # every measurement fills its queues before the clock runs
        what="loader",
        shown=options.shown,
    )


def _watch_memory(
    bench: LoaderCases, codecs: list[str], budget_s: float, options: Options
) -> list[Outcome]:
    """Return a long look at the memory for each codec; what one of them leaves of the time, the next has."""
    watched = [codec for codec in ("raw", "mjpeg") if codec in codecs]
    ends = time.monotonic() + budget_s

    def measure(i: int) -> Mapping[str, float]:
        spec = ClipSpec(bench.sizes.frames[0], crop=bench.crop)
        share_s = (ends - time.monotonic()) / (len(watched) - i)
        store, videos = bench.videos(watched[i], spec)
        return watch_loader(
            store.path,
            videos,
            spec,
            batch=bench.sizes.batch,
            clips=bench.sizes.watched_clips,
            budget_s=share_s,
        )

    cases = [
        Case(f"memory over many clips, {codec}", partial(measure, i), {"by": "fastrot"})
        for i, codec in enumerate(watched)
    ]
    found = interleave(
        cases, budget_s=budget_s, repeats=1, warm_up=False, what="memory", shown=options.shown
    )
    return list(found.values())
