"""Means with 95 % confidence intervals: the one meaning of "±" in all tables.

Student's distribution by Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

CONFIDENCE = 0.95
NORMAL = 1.959963984540054
"""The limit of ``student_t`` for infinitely many degrees of freedom."""

SMALL = "~"
"""Marks a difference whose interval contains 0."""


@dataclass(frozen=True)
class Estimate:
    """A mean and what its interval needs, in the unit of the values.

    Attributes:
        mean: The mean.
        error: Its standard error, or None if unknown.
        count: The number of values.
        freedom: Degrees of freedom of the error.
    """

    mean: float
    error: float | None
    count: int
    freedom: float = math.inf

    @property
    def half_width(self) -> float | None:
        """Half the width of the 95 % confidence interval, or None if the error is unknown."""
        return None if self.error is None else student_t(self.freedom) * self.error

    @property
    def interval(self) -> tuple[float, float] | None:
        """The lower and the upper end of the 95 % confidence interval, or None if the error is unknown."""
        half = self.half_width
        return None if half is None else (self.mean - half, self.mean + half)

    @property
    def small(self) -> bool:
        """Whether the interval contains 0; meaningful for a difference."""
        return self.half_width is not None and abs(self.mean) <= self.half_width

    def text(self, *, sign: str = "", mark: bool = False, between: str = "±") -> str:
        """Format as "mean ± half-width" with one decimal; ``mark`` marks a small difference."""
        shown = f"{self.mean:{sign}.1f}"
        if self.half_width is not None:
            shown += f" {between} {self.half_width:.1f}"
        return f"{shown}{SMALL}" if mark and self.small else shown

    def plain(self) -> dict[str, Any]:
        """Return the numbers for JSON; infinitely many degrees of freedom are None."""
        return {
            "mean": self.mean,
            "standard_error": self.error,
            "interval": None if self.interval is None else list(self.interval),
            "degrees_of_freedom": None if math.isinf(self.freedom) else self.freedom,
            "count": self.count,
        }


def mean_of(values: Sequence[float]) -> Estimate:
    """Return the mean of independent values, whose error comes from their spread (None for one value)."""
    count, mean = len(values), statistics.fmean(values)
    if count == 1:
        return Estimate(mean, None, 1)
    return Estimate(mean, statistics.stdev(values) / math.sqrt(count), count, count - 1)


def percentage(share: float, error: float | None, videos: int) -> Estimate:
    """Return a mean over videos (0..1) and its standard error in %."""
    return Estimate(100 * share, None if error is None else 100 * error, videos, max(videos - 1, 1))


@cache
def student_t(freedom: float) -> float:
    """Return the bound that Student's t exceeds in absolute value with a probability of 5 %.

    Args:
        freedom: Degrees of freedom, at least 1; a fraction is rounded down, which widens the interval.
    """
    if freedom > 10_000:
        return NORMAL
    whole = math.floor(freedom)
    low, high = 0.0, math.pi / 2  # angles whose tangent is t / sqrt(freedom)
    for _ in range(60):
        middle = (low + high) / 2
        if _inside(middle, whole) < CONFIDENCE:
            low = middle
        else:
            high = middle
    return math.tan(low) * math.sqrt(whole)


def _inside(angle: float, freedom: int) -> float:
    """Return the probability of a |t| below ``sqrt(freedom) * tan(angle)``."""
    cosine = math.cos(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for power in range(odd, freedom - 1, 2):
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total
