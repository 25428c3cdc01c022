"""Means, standard errors and marks, against hand computation."""

import pytest

from fastrot.reproduce.statistics import Estimate, average, difference


def test_the_mean_of_three_splits_and_its_standard_error():
    # mean 62; deviations -2, 0, 2; variance (4 + 0 + 4) / 2 = 4; sd 2; 2 / sqrt(3) = 1.1547
    estimate = average([60.0, 62.0, 64.0], videos=1)
    assert estimate.mean == 62
    assert estimate.error == pytest.approx(1.1547, abs=1e-4)
    assert estimate.count == 3


def test_one_run_has_the_error_of_a_share_of_its_videos():
    # sqrt(0.5 * 0.5 / 100) = 0.05
    assert average([50.0], videos=100) == Estimate(50.0, pytest.approx(5.0), 1)
    assert average([100.0], videos=10).error == 0


def test_the_difference_of_pairs_has_the_error_of_their_differences():
    # pairs: 10, 12, 14: mean 12, sd 2, error 1.1547; the spread of the levels themselves does not count
    found = difference([30.0, 52.0, 74.0], [20.0, 40.0, 60.0], 100, 100)
    assert found.mean == 12
    assert found.error == pytest.approx(1.1547, abs=1e-4)
    assert not found.small


def test_the_difference_of_single_runs_adds_their_errors_up():
    # errors: sqrt(.5 * .5 / 100) = 5 %, sqrt(.2 * .8 / 100) = 4 %; sqrt(25 + 16) = 6.403
    found = difference([50.0], [20.0], 100, 100)
    assert found.mean == 30
    assert found.error == pytest.approx(6.4031, abs=1e-4)


def test_runs_of_unequal_number_are_no_pairs():
    found = difference([50.0, 54.0], [20.0], 100, 100)
    # 52 of [50, 54]: sd 2.8284 / sqrt(2) = 2; the other: 4
    assert found.mean == 32
    assert found.error == pytest.approx((2**2 + 4**2) ** 0.5)


@pytest.mark.parametrize(
    ("mean", "error", "small"),
    [(1.9, 1.0, True), (-1.9, 1.0, True), (2.1, 1.0, False), (0.0, 0.0, True), (5.0, None, False)],
)
def test_differences_within_two_standard_errors_are_small(mean, error, small):
    assert Estimate(mean, error, 1).small is small
