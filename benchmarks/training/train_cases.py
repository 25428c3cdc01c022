"""Cases of the training benchmark: our step, its variants, the plain loop and real data."""

import itertools
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness.inputs import open_inputs, require_dali
from benchmarks.harness.measure import Case, NotHere, Options
from benchmarks.harness.processes import run_alone
from benchmarks.harness.resident import peak_mb
from benchmarks.training.stepping import PARTS, PlainStep, TrainerStep
from fastrot.config import Config, DataConfig, ModelConfig, OptimConfig, TrainConfig
from fastrot.config.schema import Depth, StemChannels
from fastrot.data.training_data import training_data
from fastrot.distributed.allocator import keep_freed_memory
from fastrot.distributed.runtime import Runtime
from fastrot.models.flops import train_flops
from pipelines.errors import UsageError
from pipelines.loading.batches import Batch

OURS, PLAIN, REAL = "fastrot", "plain PyTorch", "real data"

CONTIGUOUS = "contiguous"
"""Our step, eager and with AMP, in torch's default memory format."""

JPEG_SHARES = (0.4, 1.0)
"""Of JPEGs sent to the hardware decoder, next to the default: the loader alone would balance both decoders at
0.4; at 1.0, decoding takes nothing from the network's kernels."""

PLAIN_STEM = "plain stem"
"""Our step with the first block as a CPU computes it."""

STEMS: tuple[StemChannels, ...] = (4, 8)
AMP_S = 60.0  # the time limit of AMP on a CPU, whose kernels may hang
COMPILING_S = (
    90.0  # a guess of the time that torch.compile takes for the forward and backward passes
)

Step = TrainerStep | PlainStep


@dataclass(frozen=True)
class Sizes:
    """The network, the size of its batches, and the steps of one measurement."""

    depth: Depth
    width: int
    frames: int
    crop: int
    batch: int
    steps: int
    matmul: int

    @property
    def flop_per_clip(self) -> int:
        """The useful floating-point operations to train on one clip."""
        return train_flops(self.depth, self.width, self.frames, self.crop)

    def config(self, store: Path | str = "") -> Config:
        """Return the config of a run of this size."""
        return Config(
            name="bench",
            data=DataConfig(store=str(store), frames=self.frames, crop=self.crop),
            model=ModelConfig(depth=self.depth, width=self.width),
            optim=OptimConfig(lr=1e-4),
            train=TrainConfig(batch=self.batch, iterations=10**9),
        )


FULL = Sizes(depth=18, width=64, frames=16, crop=112, batch=32, steps=20, matmul=8192)
"""The paper's network and batch."""

# 40 clips: their largest activations are above 32 MB, where glibc's default behaviour becomes slow.
ON_CPU = Sizes(depth=10, width=16, frames=16, crop=64, batch=10, steps=1, matmul=2048)

QUICK = Sizes(depth=10, width=2, frames=4, crop=16, batch=2, steps=1, matmul=64)


def step_cases(sizes: Sizes, runtime: Runtime) -> list[Case]:
    """Return our step and the plain loop's, on a batch that is already on the device."""
    config = sizes.config()
    return [
        _case(OURS, sizes, runtime, lambda: TrainerStep(config, runtime)),
        _case(
            PLAIN, sizes, runtime, lambda: PlainStep(config, runtime), channels_last=False, by=PLAIN
        ),
    ]


def variant_cases(sizes: Sizes, runtime: Runtime) -> list[Case]:
    """Return our step with one change each; none of the changes needs compiling."""
    config = sizes.config()
    gpu = runtime.device.type == "cuda"

    def contiguous() -> Step:
        return TrainerStep(config, runtime, channels_last=False)

    def plain_stem() -> Step:
        step = TrainerStep(config, runtime)
        step.network.conv1.on_pairs = step.network.fused_tail = False
        return step

    options = {f"stem of {n} channels": _with_stem(config, n) for n in STEMS}
    if gpu:
        options["apex FusedSGD"] = replace(config, optim=replace(config.optim, backend="apex"))
    return [
        _case(CONTIGUOUS, sizes, runtime, contiguous, channels_last=False),
        *([_case(PLAIN_STEM, sizes, runtime, plain_stem)] if gpu else []),
        *(
            _case(name, sizes, runtime, partial(_optional_step, variant, runtime))
            for name, variant in options.items()
        ),
        _without_amp_case(sizes, runtime) if gpu else _amp_on_cpu_case(sizes, runtime),
    ]


def _without_amp_case(sizes: Sizes, runtime: Runtime) -> Case:
    full = replace(runtime, precision="fp32")
    return _case("without AMP", sizes, full, lambda: TrainerStep(sizes.config(), full))


def _amp_on_cpu_case(sizes: Sizes, runtime: Runtime) -> Case:
    """Return our step with AMP on a CPU, in a separate process because it may crash or hang.

    It starts only if its time limit fits into the budget.
    """
    measure_alone = partial(_measure_alone, sizes, replace(runtime, precision="bf16"))

    def measure() -> dict[str, float]:
        return run_alone(measure_alone, True, seconds=AMP_S)

    facts = {"by": OURS, "precision": "bf16", "layout": "channels_last_3d", "data": "synthetic"}
    return Case("with AMP", measure, facts, first_s=AMP_S)


def compiled_case(sizes: Sizes, runtime: Runtime) -> Case:
    """Return our step under torch.compile."""
    config = sizes.config()
    compiled = replace(config, train=replace(config.train, compile=True))
    make = partial(_optional_step, compiled, runtime)
    return replace(_case("compiled", sizes, runtime, make), first_s=COMPILING_S)


def _with_stem(config: Config, channels: StemChannels) -> Config:
    return replace(config, model=replace(config.model, stem_channels=channels))


def _optional_step(config: Config, runtime: Runtime) -> TrainerStep:
    try:
        return TrainerStep(config, runtime)
    except UsageError as error:  # no compiler, no apex
        raise NotHere(str(error)) from None


def real_data_cases(
    sizes: Sizes, options: Options, codecs: Sequence[str], stack: ExitStack
) -> list[Case]:
    """Return our step on batches of the loader, from a store of each codec or the options' store.

    Args:
        sizes: The sizes of the network and the batch.
        options: The options, which name the store, or else the videos to prepare.
        codecs: The codecs to prepare.
        stack: Removes the stores at the end.
    """
    try:
        require_dali()
        inputs = stack.enter_context(open_inputs(options, codecs))
    except NotHere as reason:
        return [_absent(f"{REAL}: {codec}", str(reason)) for codec in codecs]
    cases = []
    for codec, store in inputs.stores.items():
        config = sizes.config(store.path)
        variants = {codec: config}
        if codec == "mjpeg" and options.device.type == "cuda":
            variants |= {
                hardware_share(share): replace(
                    config, data=replace(config.data, hw_decoder_load=share)
                )
                for share in JPEG_SHARES
            }
        cases += [
            _real_data_case(name, variant, inputs.about, sizes, options.runtime, stack)
            for name, variant in variants.items()
        ]
    return cases


def hardware_share(share: float) -> str:
    """Return the name of mjpeg data of which the hardware decodes a share."""
    return f"mjpeg, hw_decoder_load {share:g}"


def _absent(name: str, reason: str) -> Case:
    def measure() -> dict[str, float]:
        raise NotHere(reason)

    return Case(name, measure, {"by": OURS})


def _real_data_case(
    name: str, config: Config, about: str, sizes: Sizes, runtime: Runtime, stack: ExitStack
) -> Case:
    def open_loader() -> Iterator[Batch]:
        data = training_data(config)
        loader = data.loader(runtime, start_step=0, steps=10**9)
        stack.enter_context(loader)
        return iter(loader)

    return _case(
        f"{REAL}: {name}",
        sizes,
        runtime,
        lambda: TrainerStep(sizes.config(), runtime),
        batches=open_loader,
        data=about,
        lead=5 if runtime.device.type == "cuda" else 2,
    )


def _case(
    name: str,
    sizes: Sizes,
    runtime: Runtime,
    make: Callable[[], Step],
    *,
    batches: Callable[[], Iterator[Batch]] | None = None,
    channels_last: bool = True,
    by: str = OURS,
    data: str = "synthetic",
    lead: int = 0,
) -> Case:
    """Return a case that makes its step at the first measurement, and keeps it.

    ``lead`` steps run before each measurement, to use the batches that the loader may have prepared
    in the meantime.
    """
    held: list[tuple[Step, Iterator[Batch], int]] = []
    device = runtime.device

    def measure() -> dict[str, float]:
        if not held:
            before = _allocated(device)
            step, source = make(), (batches or (lambda: synthetic(sizes, device)))()
            step(source)
            step.marks.take()
            held.append((step, source, _allocated(device) - before))
        step, source, own = held[0]
        others = _allocated(device) - own
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        figures = measure_steps(step, source, sizes, lead=lead)
        if device.type == "cuda":
            figures["peak_gb"] = (torch.cuda.max_memory_allocated(device) - others) / 1e9
        return figures

    facts = {
        "by": by,
        "precision": runtime.precision,
        "layout": "channels_last_3d" if channels_last else "contiguous",
        "data": data,
    }
    return Case(name, measure, facts)


def measure_steps(
    step: Step, batches: Iterator[Batch], sizes: Sizes, *, lead: int
) -> dict[str, float]:
    """Make steps and return their figures; the parts of a step are in milliseconds."""
    for _ in range(lead):
        step(batches)
    step.marks.take()
    began = time.perf_counter()
    for _ in range(sizes.steps):
        step(batches)
    parts = step.marks.take()
    seconds = (time.perf_counter() - began) / sizes.steps
    clips = 4 * sizes.batch
    return {
        "ms_per_step": 1e3 * seconds,
        **{f"{part}_ms": 1e3 * parts[part] / sizes.steps for part in PARTS},
        "clips_per_s": clips / seconds,
        "tflop_per_s": clips * sizes.flop_per_clip / seconds / 1e12,
    }


def synthetic(sizes: Sizes, device: torch.device) -> Iterator[Batch]:
    """Yield the same random batch forever."""
    shape = (sizes.batch, sizes.frames, sizes.crop, sizes.crop, 3)
    clips = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    labels = torch.zeros(sizes.batch, dtype=torch.int64, device=device)
    numbers = np.arange(sizes.batch)
    return itertools.repeat(Batch(clips, labels, numbers, numbers))


def allocator_cases(sizes: Sizes, runtime: Runtime, stack: ExitStack) -> list[Case]:
    """Return our step with and without the allocator's fix; ``stack`` ends their processes."""
    return [_allocator_case(sizes, runtime, on, stack) for on in (True, False)]


def _allocator_case(sizes: Sizes, runtime: Runtime, on: bool, stack: ExitStack) -> Case:
    """Return our step in a separate process, because the fix cannot be undone."""
    pool = stack.enter_context(ProcessPoolExecutor(1, multiprocessing.get_context("spawn")))

    def measure() -> dict[str, float]:
        if not sys.platform.startswith("linux"):
            raise NotHere("the fix is for glibc")
        return pool.submit(_measure_alone, sizes, runtime, on).result()

    name = f"own process, allocator fix {'on' if on else 'off'}"
    return Case(name, measure, {"by": OURS, "precision": runtime.precision, "data": "synthetic"})


_held: dict[str, Case] = {}


def _measure_alone(sizes: Sizes, runtime: Runtime, allocator_fix: bool) -> dict[str, float]:
    """Measure in this process, which does nothing else, so its peak memory is that of the step."""
    if OURS not in _held:
        torch.set_num_threads(runtime.threads)
        if allocator_fix:
            keep_freed_memory()
        _held[OURS] = _case(OURS, sizes, runtime, lambda: TrainerStep(sizes.config(), runtime))
    figures = dict(_held[OURS].measure())
    return {**figures, "peak_gb": peak_mb() / 1e3}


def _allocated(device: torch.device) -> int:
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
