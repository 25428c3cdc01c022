"""Ratios of paired rounds."""

import math

import pytest

from benchmarks.harness.measure import Figure, Outcome
from benchmarks.harness.ratios import paired_ratio


def outcome(name, *rates):
    return Outcome(name, {}, len(rates), {"clips_per_s": Figure.of(rates)} if rates else {})


def test_a_slow_round_of_both_changes_nothing():
    ratio = paired_ratio("r", outcome("a", 200, 20, 300), outcome("b", 100, 10, 150), "clips_per_s")
    assert (ratio.name, ratio.above, ratio.below, ratio.rounds) == ("r", "a", "b", 3)
    assert [ratio.value, ratio.low, ratio.high] == pytest.approx([2, 2, 2])


def test_the_interval_is_students_of_the_logarithms():
    ratio = paired_ratio("r", outcome("a", 1, 4), outcome("b", 1, 1), "clips_per_s")
    # Of ln 1 and ln 4 the mean is ln 2 and its standard error ln 2; t for 95 % and one degree is 12.706.
    assert ratio.value == pytest.approx(2)
    assert ratio.low == pytest.approx(math.exp(math.log(2) * (1 - 12.7062)), rel=1e-3)
    assert ratio.high == pytest.approx(math.exp(math.log(2) * (1 + 12.7062)), rel=1e-3)


def test_a_case_that_lacks_the_last_round_is_paired_in_the_others():
    ratio = paired_ratio("r", outcome("a", 2, 4, 99), outcome("b", 1, 2), "clips_per_s")
    assert (ratio.value, ratio.rounds) == (pytest.approx(2), 2)


def test_one_round_has_no_interval_and_nothing_measured_no_ratio():
    once = paired_ratio("r", outcome("a", 2), outcome("b", 1), "clips_per_s")
    assert (once.value, once.low, once.high) == (2, None, None)
    assert paired_ratio("r", outcome("a"), outcome("b", 1), "clips_per_s") is None
    assert paired_ratio("r", outcome("a", 1), outcome("b", 1), "ms_per_step") is None
