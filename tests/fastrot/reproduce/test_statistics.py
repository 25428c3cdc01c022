"""Errors over videos and over seeds, against hand computation."""

import math

import pytest

from fastrot.reproduce.statistics import Spread, binomial_error, combined, pool


def test_one_run_has_the_error_of_a_share_of_its_videos() -> None:
    # sqrt(0.5 * 0.5 / 100) = 0.05
    assert binomial_error(50.0, 100) == pytest.approx(5.0)
    assert binomial_error(100.0, 10) == 0


def test_the_spread_is_pooled_within_cells() -> None:
    # squares about the cells' own means: 8 (1 degree), 8 (2 degrees): sqrt(16 / 3); one value tells nothing
    found = pool([[50.0, 54.0], [10.0, 12.0, 14.0], [99.0]])
    assert found == Spread(pytest.approx(math.sqrt(16 / 3)), 3)


def test_single_values_have_no_spread() -> None:
    assert pool([[50.0], [10.0]]) is None


def test_the_spread_of_means_by_hand() -> None:
    spread = Spread(6.0, 4)
    assert spread.of_mean(4) == (3.0, 4)
    # 36 / 1 + 36 / 3 = 48
    assert spread.of_difference(1, 3) == (pytest.approx(math.sqrt(48)), 4)


def test_errors_are_added_in_quadrature_with_welchs_degrees_of_freedom() -> None:
    # 3^2 + 4^2 = 5^2; 5^4 / (3^4 / inf + 4^4 / 2) = 625 / 128
    found = combined(50.0, [(3.0, math.inf), (4.0, 2)], 1)
    assert found.error == pytest.approx(5)
    assert found.freedom == pytest.approx(625 / 128)
    # One part only has its own degrees.
    assert combined(50.0, [(4.0, 2)], 1).freedom == pytest.approx(2)


def test_rounding_takes_no_degree_of_freedom_away() -> None:
    # Student's t with 1 and 2 degrees (any table); (0.3^2)^2 / 0.3^4 and others are rounded to below 1
    for freedom, bound in ((1, 12.706), (2, 4.303)):
        for error in (0.1 * part for part in range(1, 60)):
            both = (error, freedom), (0.0, math.inf)
            assert combined(0.0, both, 1).half_width == pytest.approx(bound * error, rel=1e-3)


def test_without_any_error_the_degrees_do_not_matter() -> None:
    assert combined(100.0, [(0.0, math.inf)], 1).half_width == 0
