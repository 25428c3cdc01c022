"""Means, their standard errors, and whether a difference is significant."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from fastrot.evaluation.intervals import student_t


@dataclass(frozen=True)
class Estimate:
    """The mean of ``count`` values and its standard error (None if unknown), in the unit of the values."""

    mean: float
    error: float | None
    count: int

    @property
    def half_width(self) -> float | None:
        """Half the width of the 95 % confidence interval, or None if the error is unknown."""
        if self.error is None:
            return None
        return student_t(self.count - 1 if self.count > 1 else math.inf) * self.error

    @property
    def small(self) -> bool:
        """Whether the mean is within two standard errors of zero; meaningful for a difference."""
        return self.error is not None and abs(self.mean) <= 2 * self.error


def average(values: Sequence[float], videos: int) -> Estimate:
    """Average the accuracies in % of one or several runs.

    For several runs, the error is the standard deviation divided by the square root of their number. For
    one run, it is the binomial error over ``videos`` independent videos. The former ignores the choice of
    test videos, and the latter ignores the choice of seed.
    """
    mean = statistics.fmean(values)
    if len(values) > 1:
        return Estimate(mean, statistics.stdev(values) / math.sqrt(len(values)), len(values))
    share = min(max(mean / 100, 0.0), 1.0)
    return Estimate(mean, 100 * math.sqrt(share * (1 - share) / videos), 1)


def difference(
    values: Sequence[float], against: Sequence[float], videos: int, videos_against: int
) -> Estimate:
    """Return ``values`` minus ``against``, in %.

    If both have the same number of values, and more than one, they are pairs with the same seed or split, and
    the error is that of the pairs' differences. Otherwise the errors are combined as independent.
    """
    if len(values) == len(against) > 1:
        pairs = [one - other for one, other in zip(values, against, strict=True)]
        error = statistics.stdev(pairs) / math.sqrt(len(pairs))
        return Estimate(statistics.fmean(pairs), error, len(pairs))
    one, other = average(values, videos), average(against, videos_against)
    assert one.error is not None
    assert other.error is not None
    return Estimate(
        one.mean - other.mean, math.hypot(one.error, other.error), min(one.count, other.count)
    )
