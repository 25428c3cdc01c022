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
SHARES = (0.0, 1.0)  # of JPEGs sent to the hardware decoder: none and all
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
        if options.device.type == "cuda":
            cases += [bench.ours("mjpeg", FRAMES, "rgb", hw_decoder_load=share) for share in SHARES]

        def result(outcomes: Mapping[str, Outcome]) -> Result:
            notes = hardware_notes(outcomes)
            return Result("loader", bench.settings(), list(outcomes.values()), notes=notes)

        def keep(outcomes: Mapping[str, Outcome]) -> None:
            if options.keep is not None:
                options.keep(result(outcomes))

        outcomes = interleave(
            cases,
            budget_s=ends - time.monotonic(),
            warm_up=options.warm_up,
            what="loader",
            shown=options.shown,
            keep=keep,
        )
        return result(outcomes)


def hardware_notes(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return a note if the load of the hardware JPEG decoder makes no difference."""
    found = [each for name, each in outcomes.items() if "hw_decoder_load" in name]
    rates = [each.figures["clips_per_s"].median for each in found if each.figures]
    if len(rates) < len(SHARES) or max(rates) > (1 + NOISE) * min(rates):
        return []
    return [
        "mjpeg: no difference between hw_decoder_load 0 and 1: the hardware decoder may be unused"
    ]
