"""Random resized crops (ours, not the paper's): regions of random area and aspect ratio, resized to the crop.

The law of a region's (height, width) equals that of (width, height), and so does that of its position.
Content without a direction therefore has none afterwards either.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.hashing import Ints, Stream, hash_uniform
from pipelines.plan import (
    Clips,
    ClipSpec,
    Footage,
    Plan,
    crop_margin,
)

Floats = NDArray[np.float64]

_STREAMS = np.array(
    [[Stream.REGION_AREA], [Stream.REGION_ASPECT], [Stream.REGION_Y], [Stream.REGION_X]]
)


@dataclass(frozen=True)
class RegionLaw:
    """The law of the regions: both numbers are log-uniform, and independent.

    Attributes:
        scale: Smallest and largest share of the frame's area, 0..1; None is always the crop's area.
        aspect: Smallest and largest ratio of width to height; None is always 1. The product of both should
            be 1: regions that are more often wide than high would reveal a rotation.
    """

    scale: Sequence[float] | None = None
    aspect: Sequence[float] | None = None


class RegionPlan:
    """A plan whose clips are regions of the frames, one for a whole clip, instead of crops.

    The size and the position of sample g's region are hashes of (seed, g). All else is the other plan's.

    Args:
        plan: Determines the clips.
        store: The store that contains them.
        law: The law of the regions.
        seed: Seed of the regions.

    Raises:
        UsageError: The crop is larger than the store's frames.
    """

    def __init__(self, plan: Plan, store: Footage, law: RegionLaw, *, seed: int):
        self.spec: ClipSpec = replace(plan.spec, regions=True)
        self._plan = plan
        self._size = store.size
        self._law = law
        self._seed = seed
        crop_margin(store.size, plan.spec)

    def clips(self, first: int, count: int) -> Clips:
        """Return samples ``first`` to ``first + count - 1``."""
        clips = self._plan.clips(first, count)
        draws = hash_uniform(self._seed, _STREAMS, np.zeros_like(clips.sample), clips.sample)
        height, width = self._sizes(draws[0], draws[1])
        return replace(
            clips,
            height=height,
            width=width,
            y=(draws[2] * (self._size - height + 1)).astype(np.int64),
            x=(draws[3] * (self._size - width + 1)).astype(np.int64),
        )

    def _sizes(self, area: Floats, aspect: Floats) -> tuple[Ints, Ints]:
        """Return heights and widths in whole pixels for uniform numbers in [0, 1), each (B,).

        A region that does not fit into the frame is reduced and keeps its aspect ratio.
        """
        of_crop = (self.spec.crop / self._size) ** 2
        share = _log_uniform(self._law.scale or (of_crop, of_crop), area)
        ratio = _log_uniform(self._law.aspect or (1.0, 1.0), aspect)
        height = self._size * np.sqrt(share / ratio)
        width = self._size * np.sqrt(share * ratio)
        fit = np.minimum(1, self._size / np.maximum(height, width))
        sizes = np.clip(np.rint(np.stack([height, width]) * fit), 1, self._size).astype(np.int64)
        return sizes[0], sizes[1]


def _log_uniform(ends: Sequence[float], uniform: Floats) -> Floats:
    low, high = map(math.log, ends)
    drawn: Floats = np.exp(low + (high - low) * uniform)
    return drawn
