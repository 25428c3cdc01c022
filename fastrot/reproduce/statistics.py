"""Means, their standard errors, and whether a difference is larger than chance explains."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A mean of ``count`` values and its standard error, in the values' unit; None where unknown."""

    mean: float
    error: float | None
    count: int

    @property
    def small(self) -> bool:
        """Whether it lies within two standard errors of zero; of use for a difference."""
        return self.error is not None and abs(self.mean) <= 2 * self.error


def average(values: Sequence[float], videos: int) -> Estimate:
    """Average accuracies in % of several runs, or take one run's.

    Of several, the error is their standard deviation over the root of their number. Of one, it is that
    of a share of ``videos`` independent videos (binomial). Neither knows what the other knows: the
    choice of test videos, and the choice of seed.
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

    Where both have several values of equal number they are pairs that share a seed or split, and the error
    is that of the pairs' differences. Else the two errors add up as those of independent measurements.
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
