"""Clips a second that the loader gives from each codec, alone: the short form of `benchmarks.loader`."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch

from benchmarks.harness.consume import consume
from benchmarks.harness.inputs import Inputs, open_inputs, require_dali
from benchmarks.harness.measure import Case, NotHere, Options, Outcome, Result, interleave
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions
from pipelines.plan import ClipSpec, TrainPlan
from pipelines.store.codecs import CODECS

BATCH = 32
MOST_STEPS = 100_000
SHARES = (0.0, 1.0)  # of JPEGs for the hardware decoder: not at all, and all
NOISE = 0.03


def run(options: Options, *, budget_s: float) -> Result:
    """Measure clips of 16 frames in RGB and DIF from each codec."""
    ends = time.monotonic() + budget_s
    codecs = ("raw", "mjpeg") if options.quick else tuple(CODECS)
    try:
        require_dali()
    except NotHere as reason:
        return Result("loader", {}, [], notes=[f"not here: {reason}"])
    with open_inputs(options, codecs) as inputs:
        cases = [
            _case(inputs, codec, modality, options)
            for codec in inputs.stores
            for modality in ("rgb", "dif")
        ]
        if options.device.type == "cuda":
            cases += [_case(inputs, "mjpeg", "rgb", options, share) for share in SHARES]
        outcomes = interleave(
            cases, budget_s=ends - time.monotonic(), what="loader", shown=options.shown
        )
        return Result(
            "loader",
            {"input": inputs.about, "batch": BATCH, "threads": options.runtime.cores},
            list(outcomes.values()),
            notes=hardware_notes(outcomes),
        )


def hardware_notes(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return a line where the share of the hardware JPEG decoder makes no difference."""
    found = [outcomes[name] for name in map(_hardware, SHARES) if name in outcomes]
    rates = [each.figures["clips_per_s"].median for each in found if each.figures]
    if len(rates) < len(SHARES) or max(rates) > (1 + NOISE) * min(rates):
        return []
    return [
        "mjpeg: no difference between hw_decoder_load 0 and 1: is the hardware engine not used?"
    ]


def _hardware(share: float) -> str:
    return f"mjpeg, rgb, hw_decoder_load {share:g}"


def _case(
    inputs: Inputs, codec: str, modality: str, options: Options, share: float | None = None
) -> Case:
    store = inputs.stores[codec]
    crop = min(112, store.size)
    spec = ClipSpec(16, crop=crop, modality="dif" if modality == "dif" else "rgb")
    batch = 4 if options.quick else BATCH

    @contextmanager
    def open_loader() -> Iterator[Iterator[torch.Tensor]]:
        plan = TrainPlan(store, inputs.videos, spec, seed=0)
        ranges = ((step * batch, batch) for step in range(MOST_STEPS))
        how = LoaderOptions(threads=options.runtime.cores)
        if share is not None:
            how = replace(how, hw_decoder_load=share)
        with Loader(store, plan, ranges, batch=batch, device=options.device, options=how) as loader:
            yield (loaded.clips for loaded in loader)

    def measure() -> dict[str, float]:
        if options.device.type == "cpu" and not CODECS[codec].on_cpu:
            raise NotHere(f"DALI decodes {codec} only on a GPU")
        return consume(
            open_loader,
            frames=16,
            seconds=0.05 if options.quick else 1.0,
            unmeasured=5,
            device=options.device,
        )

    name = f"{codec}, {modality}" if share is None else _hardware(share)
    return Case(name, measure, {"codec": codec, "modality": modality})
