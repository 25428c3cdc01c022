"""A ledger of the cheap cues in a store: what reveals a rotation by one number, without any network.

It compares detail along both axes and steps at the four sides over the videos of a store. It reports what
is in the stored frames, whatever the cause: natural scenes differ along both axes, too (``CAUSES``).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fastrot.analysis.cue_measures import (
    CHANNELS,
    LEAST_SIZE,
    ORDERS,
    SIDES,
    border_steps,
    colour_planes,
    detail,
)
from fastrot.evaluation.intervals import student_t
from fastrot.evaluation.unreadable import Skipped, merged, skipped_lines
from pipelines.cores import cores
from pipelines.errors import FastrotError, UsageError
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions, default_threads
from pipelines.loading.replacement import VideoTolerance
from pipelines.loading.skipping import RingPlan, SkippingLoader
from pipelines.plan import ClipSpec, EvalPlan
from pipelines.shares import ALONE, eval_ranges
from pipelines.store.reading import Store

FRAMES = 8
"""Frames read of each video, evenly spaced."""

CAUSES = (
    "natural scenes differ along both axes themselves (horizon, gravity, architecture). Only controls "
    "distinguish what the store adds: noise prepared in the same way, or the same videos turned before "
    "they are prepared."
)
_ASPECTS = {
    "stretch": "frames were stretched to a square, by an unknown factor",
    "crop": "frames were cut to a square and keep their aspect ratio",
}
_LEAST_VIDEOS = 2
FEW = 10
"""Fewer videos than this are too few to judge a store by."""

_BATCH = 4  # videos read at once
# Added to energies and to steps, in (squared) grey levels, so that frames without detail have a ratio of 1.
_NOTHING = 1e-3
# A number is reported as found beyond one and a half 95 % intervals (about three standard errors): of the
# nine numbers of a ledger, one is often outside a single interval by chance.
_CERTAIN = 1.5


@dataclass(frozen=True)
class Contrast:
    """A number of each video that is 0 on average if nothing is revealed.

    Attributes:
        mean: Mean over videos.
        interval: Half of the 95 % interval of the mean, by Student's t.
        told: Share of videos, 0..1, whose sign is the more frequent one: a threshold at 0 recognises these.
            Chance is 0.5, and slightly more for few videos. Videos at exactly 0 count as half.
    """

    mean: float
    interval: float
    told: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> "Contrast":
        """Summarise (N,) values, one of each of at least 2 videos."""
        count = len(values)
        above = float(((values > 0) + 0.5 * (values == 0)).mean())
        error = float(values.std(ddof=1)) / math.sqrt(count)
        return cls(float(values.mean()), student_t(count - 1) * error, max(above, 1 - above))

    @property
    def found(self) -> bool:
        """Whether the mean is certainly not 0."""
        return abs(self.mean) > _CERTAIN * self.interval


@dataclass(frozen=True)
class AxisCue(Contrast):
    """The log ratio of horizontal to vertical energy of a channel's differences of an order."""

    channel: str = ""
    order: str = ""


@dataclass(frozen=True)
class SideCue(Contrast):
    """How much more one side's outermost line differs from the next than that of the side ``against``.

    Both are relative to neighbouring lines inside, as natural logarithms. ``step`` is the mean of the side
    itself: 0 if its outermost line is like any other, much below 0 if it repeats the next one (as in a bar).
    ``against`` is the side whose step is nearest to 0, so its own contrast is 0.
    """

    side: str = ""
    step: float = 0.0
    against: str = ""


@dataclass(frozen=True)
class Ledger:
    """The cheap cues of a store's videos.

    Attributes:
        store: Path of the store.
        split: The split that the videos are from.
        codec: The store's codec.
        size: Side of the stored frames in pixels.
        fit: How the store's frames were made square.
        videos: Number of videos read, evenly spaced in the order of their names, without the skipped ones.
        frames: Frames read of each.
        axes: Detail along both axes, by channel and order.
        sides: Steps at the four sides, of luma.
        skipped: The videos that cannot be read.
    """

    store: str
    split: str
    codec: str
    size: int
    fit: str
    videos: int
    frames: int
    axes: list[AxisCue]
    sides: list[SideCue]
    skipped: list[Skipped]

    def lines(self) -> Iterator[str]:
        """Yield the numbers and what they mean, as lines to print."""
        yield (
            f"{self.store}, split {self.split}: {self.videos} videos, {self.frames} frames each; "
            f"{self.codec}, {self.size}x{self.size}"
        )
        yield from skipped_lines(self.skipped)
        yield "detail, log ratio of horizontal to vertical energy (mean +- 95 % interval):"
        for axis in self.axes:
            yield (
                f"  {axis.channel:2} {axis.order:17}  {axis.mean:+.4f} +- {axis.interval:.4f}  "
                f"axis of {100 * axis.told:.0f} % of the videos"
            )
        yield (
            "borders, log ratio of the outermost step to steps inside, and its difference from the "
            "plainest side:"
        )
        for side in self.sides:
            difference = f"{side.mean:+.3f} +- {side.interval:.3f}"
            plainest = side.side == side.against
            yield f"  {side.side:6}  {side.step:+.3f}  {'the plainest' if plainest else difference}"
        yield from self.verdicts()
        if self.videos < FEW:
            yield f"only {self.videos} videos: too few to judge a store by"
        yield "docs/spectrum.md explains these numbers"

    def verdicts(self) -> Iterator[str]:
        """Yield one line in plain words for each channel, the borders, the aspect and the causes."""
        for channel in CHANNELS:
            strongest = max(
                (axis for axis in self.axes if axis.channel == channel),
                key=lambda axis: abs(axis.mean) / max(axis.interval, 1e-12),
            )
            yield f"{channel}: {_axis_verdict(strongest)}"
        found = [side for side in self.sides if side.found]
        yield "borders: " + ("; ".join(map(_side_verdict, found)) or "no side stands out")
        yield f"aspect: fit {self.fit}: {_ASPECTS[self.fit]}; the sources' sizes are not stored"
        yield f"causes: {CAUSES}"


def read_ledger(
    store: Store,
    split: str,
    *,
    videos: int,
    advance: Callable[[int, int], None] | None = None,
) -> Ledger:
    """Measure the cheap cues in whole frames of a store, decoded as in training.

    Videos that cannot be read are skipped, however many.

    Args:
        store: The store.
        split: The split to read, or "all".
        videos: Most videos to read, evenly spaced in the split; at least 2.
        advance: Called with the videos read and to read.

    Raises:
        UsageError: The split does not exist or has fewer than 2 videos, or frames are too small.
        FastrotError: Fewer than 2 videos can be read, or DALI is not installed.
    """
    chosen = store.select(split)
    count = min(videos, len(chosen))
    if count < _LEAST_VIDEOS:
        raise UsageError(
            f"a mean over videos and its interval need at least {_LEAST_VIDEOS} videos: the split {split} of "
            f"{store.path} has {len(chosen)}, and --videos is {videos}"
        )
    if store.size < LEAST_SIZE:
        raise UsageError(
            f"{store.path} has frames of {store.size} pixels: at least {LEAST_SIZE} are needed"
        )
    chosen = chosen[np.linspace(0, len(chosen) - 1, count).astype(np.int64)]
    energies, steps = [], []
    skipped: list[Skipped] = []
    for frames in _frames_of(store, chosen, skipped):
        planes = colour_planes(frames)
        energies.append(_per_video(detail(planes)))
        steps.append(_per_video(border_steps(planes[:, :1])[:, 0]))
        if advance is not None:
            advance(sum(map(len, energies)), count)
    if skipped and advance is not None:
        advance(count, count)
    if (readable := sum(map(len, energies))) < _LEAST_VIDEOS:
        raise FastrotError(
            f"{readable} of {count} videos of {store.path} can be read, and at least {_LEAST_VIDEOS} are "
            "needed: run `fastrot store verify`"
        )
    return Ledger(
        store=str(store.path),
        split=split,
        codec=store.codec,
        size=store.size,
        fit=store.settings.fit,
        videos=readable,
        frames=FRAMES,
        axes=axis_cues(np.concatenate(energies)),
        sides=side_cues(np.concatenate(steps)),
        skipped=skipped,
    )


def axis_cues(energies: NDArray[np.float64]) -> list[AxisCue]:
    """Compare the energies of both axes, (videos, 3, 2, 2) as from ``detail``."""
    logs = np.log(energies + _NOTHING)
    ratios = logs[..., 0] - logs[..., 1]
    return [
        AxisCue(**vars(Contrast.of(ratios[:, channel, order])), channel=name, order=kind)
        for channel, name in enumerate(CHANNELS)
        for order, kind in enumerate(ORDERS)
    ]


def side_cues(steps: NDArray[np.float64]) -> list[SideCue]:
    """Compare the steps at the four sides, (videos, 4, 2) as from ``border_steps``."""
    logs = np.log(steps + _NOTHING)
    ratios = logs[..., 0] - logs[..., 1]
    means = ratios.mean(axis=0)
    plainest = int(np.abs(means).argmin())
    return [
        SideCue(
            **vars(Contrast.of(ratios[:, i] - ratios[:, plainest])),
            side=side,
            step=float(means[i]),
            against=SIDES[plainest],
        )
        for i, side in enumerate(SIDES)
    ]


def _frames_of(
    store: Store, videos: NDArray[np.int64], skipped: list[Skipped]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a few readable videos at a time, (videos * FRAMES, size, size, 3).

    The others are added to ``skipped``. A GPU decodes if there is one.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    plan = EvalPlan(store, videos, ClipSpec(frames=1, crop=store.size), clips_per_video=FRAMES)
    batch = _BATCH * FRAMES
    ranges = list(eval_ranges(total=len(plan), batch=batch, share=ALONE))
    loader = Loader(
        store,
        RingPlan(plan),
        ranges,
        batch=batch,
        device=device,
        options=LoaderOptions(threads=default_threads(cores(), device.type)),
        tolerance=VideoTolerance(1, videos=len(videos), clips_per_video=FRAMES),
    )
    with SkippingLoader(loader, ranges) as readable:
        for loaded in readable:
            _, inverse, counts = np.unique(
                loaded.samples // FRAMES, return_inverse=True, return_counts=True
            )
            whole = counts[inverse] == FRAMES  # a video counts only with all of its frames
            if whole.any():
                yield loaded.clips[:, 0].cpu().numpy()[whole]
        skipped += merged([Skipped(each.video, each.reason) for each in readable.take_replaced()])


def _per_video(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Average over the frames of each video, (videos * FRAMES, ...) to (videos, ...)."""
    each: NDArray[np.float64] = values.reshape(-1, FRAMES, *values.shape[1:]).mean(
        axis=1, dtype=np.float64
    )
    return each


def _axis_verdict(cue: AxisCue) -> str:
    if not cue.found:
        return "horizontal and vertical detail do not differ measurably"
    more = "horizontal" if cue.mean > 0 else "vertical"
    return (
        f"{more} detail has {100 * math.expm1(abs(cue.mean)):.0f} % more energy ({cue.order}): one number "
        f"reveals the axis of {100 * cue.told:.0f} % of the videos (chance 50)"
    )


def _side_verdict(cue: SideCue) -> str:
    return (
        f"the step at the {cue.side} is {math.exp(cue.mean):.2f} times that at the {cue.against}; one number "
        f"reveals it in {100 * cue.told:.0f} % of the videos (chance 50)"
    )
