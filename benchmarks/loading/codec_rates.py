"""Clips per second of the loader alone, for each codec: a short version of ``benchmarks.loader``."""

import time
from collections.abc import Mapping

from benchmarks.harness.inputs import open_inputs, require_dali
from benchmarks.harness.measure import REPEATS, NotHere, Options, Outcome, Result, interleave
from benchmarks.loading.loader_cases import LoaderCases, Sizes
from pipelines.plan import Modality
from pipelines.store.codecs import CODECS

FRAMES = 16
MODALITIES: tuple[Modality, ...] = ("rgb", "dif")
SHARES = (0.0, 0.25, 0.4, 0.65, 1.0)
"""Of JPEGs sent to the hardware decoder, from none to all."""

SWEEPS = 2
"""Repeats of each share, before anything else is measured."""

NOISE = 0.03


def run(options: Options, *, budget_s: float) -> Result:
    """Measure RGB and DIF clips of 16 frames for each codec."""
    ends = time.monotonic() + budget_s
    codecs = ("raw", "mjpeg") if options.quick else tuple(CODECS)
    sizes = Sizes((FRAMES,), 4 if options.quick else 32, 0.05 if options.quick else 1.0, REPEATS, 0)
    try:
        require_dali()
    except NotHere as reason:
        return Result("loader", {}, [], notes=[f"not here: {reason}"])
    with open_inputs(options, codecs) as inputs:
        bench = LoaderCases(options, inputs, sizes)
        cases = [bench.ours(codec, FRAMES, each) for codec in inputs.stores for each in MODALITIES]
        gpu = options.device.type == "cuda"
        shares = [bench.ours("mjpeg", FRAMES, "rgb", hw_decoder_load=share) for share in SHARES]
        found: dict[str, Outcome] = {}

        def result(outcomes: Mapping[str, Outcome]) -> Result:
            every = {**found, **outcomes}
            return Result(
                "loader", bench.settings(), list(every.values()), notes=hardware_notes(every)
            )

        def keep(outcomes: Mapping[str, Outcome]) -> None:
            if options.keep is not None:
                options.keep(result(outcomes))

        turns = [*([(shares, SWEEPS)] if gpu else []), (cases, REPEATS)]
        for some, repeats in turns:
            found |= interleave(
                some,
                budget_s=ends - time.monotonic(),
                repeats=repeats,
                warm_up=options.warm_up,
                what="loader",
                shown=options.shown,
                keep=keep,
            )
        return result({})


def hardware_notes(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return a note if the share of the hardware JPEG decoder makes no difference."""
    found = [each for name, each in outcomes.items() if "hw_decoder_load" in name]
    rates = [each.figures["clips_per_s"].median for each in found if each.figures]
    if len(rates) < len(SHARES) or max(rates) > (1 + NOISE) * min(rates):
        return []
    return [
        "mjpeg: no difference between shares of hw_decoder_load: the hardware decoder may be unused"
    ]
