"""The rotation op compared with plain torch code and with the memory bandwidth.

On a GPU, the limit is a copy on the device. On a CPU, it is a plain fill, the cheapest way to write
that many bytes: the op writes 16 times as much as it reads. All cases run in one process, which keeps
its freed memory (``allocator.keep_freed_memory``). Otherwise, page faults would decide the times on a
CPU, not the code.
"""

import importlib.util
import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from benchmarks.harness.compared import Goal
from benchmarks.harness.limits import copy_case, fill_case, ratio, seconds_per_call, with_share
from benchmarks.harness.measure import (
    Case,
    Fact,
    NotHere,
    Options,
    Outcome,
    Result,
    interleave,
    repeated,
)
from fastrot.config.data_config import STATISTICS
from fastrot.distributed.allocator import keep_freed_memory
from fastrot.rotation import op, reference
from fastrot.rotation.pixels import Pixels
from fastrot.rotation.sets import QUARTER_TURNS, rotation_set
from fastrot.rotation.traffic import bytes_moved

MEAN, STD = STATISTICS["rgb"]

FUSED = "fused"
BASELINE = "rot90 + cat + normalise"
EAGER = (BASELINE, "normalise + rot90 + cat", "the same, channels first")
COMPILING_S = 30.0  # a guess of the time that torch.compile takes

Rotate = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Sizes:
    """The size of a batch and its clips, and how often a measurement rotates each batch.

    A measurement uses ``inputs`` batches in turn. Together they exceed the L2 cache of a GPU (50 MB
    on an H100); otherwise the reads would cost nothing.
    """

    clips: int
    frames: int
    size: int
    inputs: int
    calls: int


def pixel_statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mean and std of the pixels, 0..255, (3,) each.

    They are made once, because a copy to a GPU takes time.
    """
    mean, std = (
        torch.tensor([255 * one for one in values], device=device) for values in (MEAN, STD)
    )
    return mean, std


def rot90_cat_normalize(clips: Tensor, mean: Tensor, std: Tensor, dtype: torch.dtype) -> Tensor:
    """Do the same as the op in the plain way: rotate bytes, concatenate, normalise in float32, round."""
    turned = torch.cat([torch.rot90(clips, turns, dims=(2, 3)) for turns in range(4)])
    return ((turned.float() - mean) / std).to(dtype).permute(0, 4, 1, 2, 3)


def normalize_rot90_cat(clips: Tensor, mean: Tensor, std: Tensor, dtype: torch.dtype) -> Tensor:
    """Do the same in the other order, which normalises each pixel once instead of four times."""
    upright = ((clips.float() - mean) / std).to(dtype)
    turned = torch.cat([torch.rot90(upright, turns, dims=(2, 3)) for turns in range(4)])
    return turned.permute(0, 4, 1, 2, 3)


def channels_first(clips: Tensor, mean: Tensor, std: Tensor, dtype: torch.dtype) -> Tensor:
    """Do the same as most training code, on contiguous (B, 3, T, H, W); the result is contiguous too."""
    upright = ((clips.float() - mean) / std).to(dtype).permute(0, 4, 1, 2, 3).contiguous()
    return torch.cat([torch.rot90(upright, turns, dims=(3, 4)) for turns in range(4)])


def run(options: Options, *, budget_s: float) -> Result:
    """Measure every way to rotate a batch by 0, 90, 180 and 270 degrees and normalise it."""
    keep_freed_memory()
    gpu = options.device.type == "cuda"
    if options.quick:
        sizes = Sizes(clips=2, frames=2, size=16, inputs=1, calls=1)
    elif gpu:
        sizes = Sizes(clips=32, frames=16, size=112, inputs=5, calls=50)
    else:
        sizes = Sizes(clips=16, frames=16, size=112, inputs=1, calls=2)
    dtype = options.runtime.dtype
    cases = [case for case in _cases(sizes, dtype, options.device) if options.wants(case.name)]
    elements = 4 * sizes.clips * sizes.frames * 3 * sizes.size**2
    limit = (
        copy_case(options.device, megabytes=1 if options.quick else 500, calls=sizes.calls)
        if gpu
        else fill_case(elements, dtype, options.device, calls=sizes.calls)
    )

    def result(outcomes: Mapping[str, Outcome]) -> Result:
        others = [outcome for name, outcome in outcomes.items() if name != limit.name]
        share = f"share_of_{limit.name}"
        measured = with_share(others, "gb_per_s", outcomes[limit.name], share)
        if FUSED in outcomes:
            measured = with_share(measured, "ms_per_batch", outcomes[FUSED], "times_fused")
        return Result(
            benchmark="rotation",
            settings={
                "clips": sizes.clips,
                "frames": sizes.frames,
                "size": sizes.size,
                "rotations": list(QUARTER_TURNS),
                "dtype": str(dtype).removeprefix("torch."),
            },
            cases=measured,
            limits=[outcomes[limit.name]],
            goals=[] if options.quick else _goals(measured, outcomes[limit.name], gpu=gpu),
            notes=_notes(gpu=gpu),
        )

    def keep(outcomes: Mapping[str, Outcome]) -> None:
        if options.keep is not None:
            options.keep(result(outcomes))

    outcomes = interleave(
        [limit, *cases],
        budget_s=budget_s,
        warm_up=options.warm_up,
        what="rotation",
        shown=options.shown,
        keep=keep,
    )
    return result(outcomes)


def _cases(sizes: Sizes, dtype: torch.dtype, device: torch.device) -> list[Case]:
    rotations = rotation_set(QUARTER_TURNS)
    shape = (sizes.clips, sizes.frames, sizes.size, sizes.size, 3)
    colours = [
        torch.randint(0, 256, shape, dtype=torch.uint8, device=device) for _ in range(sizes.inputs)
    ]
    differences = [2 * clips.to(torch.int16) - 255 for clips in colours]
    by_op = partial(op.rotate, rotations=rotations, mean=MEAN, std=STD, dtype=dtype)
    by_reference = partial(reference.rotate, degrees=QUARTER_TURNS, pixels=Pixels(MEAN, STD, dtype))
    mean, std = pixel_statistics(device)
    plain, other_order, first = (
        partial(way, mean=mean, std=std, dtype=dtype)
        for way in (rot90_cat_normalize, normalize_rot90_cat, channels_first)
    )
    time = partial(_case, dtype=dtype, truth=by_reference, calls=sizes.calls)
    others = partial(time, by="plain PyTorch")
    compiled = others("compiled", _Compiled(plain, device), colours)
    return [
        time(FUSED, by_op, colours),
        time("fused, int16", by_op, differences),
        time("fused, 4 channels", partial(by_op, channels=4), colours, channels=4),
        time("fused, 8 channels", partial(by_op, channels=8), colours, channels=8),
        time("reference", by_reference, colours),
        others(BASELINE, plain, colours),
        others("normalise + rot90 + cat", other_order, colours),
        others("the same, channels first", first, colours),
        replace(compiled, first_s=COMPILING_S),
    ]


class _Compiled:
    """A function that the first call compiles with torch.compile, if this machine supports it."""

    def __init__(self, function: Rotate, device: torch.device):
        self._plain = function
        self._device = device

    def __call__(self, clips: Tensor) -> Tensor:
        return self._function(clips)

    @cached_property
    def _function(self) -> Rotate:
        require_compiler(self._device)
        return torch.compile(self._plain, dynamic=False)


def require_compiler(device: torch.device) -> None:
    """Check that torch.compile has what it needs.

    Raises:
        NotHere: There is no Triton on a GPU, or no C++ compiler on a CPU.
    """
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        raise NotHere("torch.compile needs Triton on a GPU")
    if device.type == "cpu" and not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        raise NotHere("torch.compile needs a C++ compiler on a CPU")


def _case(
    name: str,
    rotate: Rotate,
    batches: Sequence[Tensor],
    *,
    dtype: torch.dtype,
    truth: Rotate,
    calls: int,
    channels: int = 3,
    by: str = "fastrot",
) -> Case:
    """Return the case of one way to rotate; it is checked once against the reference."""
    first = batches[0]
    moved = bytes_moved(first, len(QUARTER_TURNS), dtype, channels)
    turn = itertools.cycle(batches)
    checked = False

    def measure() -> dict[str, float]:
        nonlocal checked
        if not checked:
            torch.testing.assert_close(rotate(first)[:, :3], truth(first))
            checked = True
        seconds = seconds_per_call(lambda: rotate(next(turn)), first.device, calls)
        return {
            "ms_per_batch": 1e3 * seconds,
            "clips_per_s": len(first) / seconds,
            "gb_per_s": moved / seconds / 1e9,
        }

    facts: dict[str, Fact] = {
        "by": by,
        "input": str(first.dtype).removeprefix("torch."),
        "channels": channels,
    }
    return Case(name, measure, facts)


def _goals(measured: Sequence[Outcome], limit: Outcome, *, gpu: bool) -> list[Goal]:
    by_name = {outcome.name: outcome for outcome in measured}
    if not {FUSED, *EAGER} <= by_name.keys():
        return []
    fused, others = by_name[FUSED], [by_name[name] for name in EAGER]
    ms = fused.median("ms_per_batch")
    eager = {other.name: other.median("ms_per_batch") for other in others}
    best = min((each for each in eager.values() if each is not None), default=None)
    alike = repeated(fused, *(other for other in others if other.figures))
    over = Goal(f"fused over {BASELINE}", ratio(eager[BASELINE], ms), 8 if gpu else 3, judged=alike)
    if not gpu:
        return [over]
    share = fused.median(f"share_of_{limit.name}")
    return [
        over,
        Goal("fused over the best of eager torch", ratio(best, ms), 8, judged=alike),
        Goal("share of the copy bandwidth", share, 0.85, judged=repeated(fused, limit)),
    ]


def _notes(*, gpu: bool) -> list[str]:
    notes = [
        "gb_per_s counts each clip read once and each rotation written once, whatever a way moves.",
        "times_fused is the time of a way over that of the fused op. All ways give the same result, "
        "but that channels first leaves it contiguous, and channels beyond 3 are zeros.",
    ]
    if gpu:
        return notes
    return [
        *notes,
        "On a CPU the op runs the code of `reference`: the two differ by the op's dispatch alone.",
        "Every case ran with freed memory kept by the process (keep_freed_memory).",
    ]
