"""Errors of accuracies and of their differences: over test videos, over seeds, and both."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fastrot.evaluation.intervals import Estimate

Part = tuple[float, float]
"""A standard error and its degrees of freedom."""


@dataclass(frozen=True)
class Spread:
    """The standard deviation over seeds, pooled over several cells, and its degrees of freedom."""

    deviation: float
    freedom: int

    def of_mean(self, count: int) -> Part:
        """Return the part of the error of a mean over ``count`` seeds."""
        return self.deviation / math.sqrt(count), self.freedom

    def of_difference(self, count: int, others: int) -> Part:
        """Return the part of the error of a difference between means over ``count`` and ``others`` seeds."""
        return self.deviation * math.sqrt(1 / count + 1 / others), self.freedom


def pool(cells: Iterable[Sequence[float]]) -> Spread | None:
    """Return the spread within cells of several values each, or None if there are none."""
    groups = [cell for cell in cells if len(cell) > 1]
    freedom = sum(len(group) - 1 for group in groups)
    if freedom == 0:
        return None
    squares = sum(statistics.variance(group) * (len(group) - 1) for group in groups)
    return Spread(math.sqrt(squares / freedom), freedom)


def binomial_error(percent: float, videos: int) -> float:
    """Return the standard error in % of a share of ``videos`` independent videos."""
    share = min(max(percent / 100, 0.0), 1.0)
    return 100 * math.sqrt(share * (1 - share) / videos)


def combined(mean: float, parts: Sequence[Part], count: int) -> Estimate:
    """Return an estimate whose independent errors are added in quadrature.

    The degrees of freedom are those of Welch (1947) and Satterthwaite (1946).
    """
    variance = sum(error**2 for error, _ in parts)
    uncertain = sum(error**4 / freedom for error, freedom in parts)
    if uncertain == 0:
        return Estimate(mean, math.sqrt(variance), count)
    # They are never below those of the least certain part. Rounding must not change that: an interval rounds
    # them down, so 2 and 1.9999 differ by a factor of 3.
    least = min(freedom for _, freedom in parts)
    return Estimate(mean, math.sqrt(variance), count, max(least, variance**2 / uncertain))
