"""Intervals of a mean, compared with scipy's."""

import math
import statistics

import pytest
from scipy.stats import t

from fastrot.evaluation.intervals import interval, t95


@pytest.mark.parametrize("degrees", range(1, 31))
def test_the_table_is_scipys(degrees):
    assert t95(degrees) == pytest.approx(t.ppf(0.975, degrees), abs=5e-4)


def test_many_values_get_an_interval_that_is_slightly_too_wide():
    for degrees in (31, 100, 10**6):
        assert 1 < t95(degrees) / t.ppf(0.975, degrees) < 1.042


def test_no_degree_of_freedom_is_an_error():
    with pytest.raises(ValueError, match="at least 1 is needed"):
        t95(0)


def test_the_interval_is_scipys():
    values = [14.7, 4.8, 21.0]
    error = statistics.stdev(values) / math.sqrt(3)
    low, high = t.interval(0.95, 2, loc=statistics.fmean(values), scale=error)
    assert interval(values) == pytest.approx((high - low) / 2, rel=1e-3)


def test_a_single_value_has_no_interval():
    assert interval([31.0]) is None
