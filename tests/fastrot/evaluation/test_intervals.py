"""Student's t against SciPy's values, and intervals by hand."""

import math

import pytest

from fastrot.evaluation.intervals import Estimate, mean_of, student_t

# scipy.stats.t.ppf(0.975, freedom)
SCIPY = {
    1: 12.706204736174694,
    2: 4.302652729749462,
    3: 3.1824463052837078,
    4: 2.7764451051977934,
    5: 2.5705818356363146,
    10: 2.228138851986274,
    30: 2.0422724563012378,
    100: 1.9839715185235518,
    math.inf: 1.959963984540054,
}


@pytest.mark.parametrize("freedom", SCIPY)
def test_students_t_is_scipys(freedom: float) -> None:
    assert student_t(freedom) == pytest.approx(SCIPY[freedom], abs=1e-9)


def test_a_fraction_of_a_degree_widens_the_interval() -> None:
    assert student_t(2.9) == student_t(2)


def test_three_values_by_hand() -> None:
    # mean 62; deviation 2; error 2 / sqrt(3) = 1.1547; times 4.3027: 4.968
    found = mean_of([60.0, 62.0, 64.0])
    assert found.error == pytest.approx(1.1547, abs=1e-4)
    assert found.half_width == pytest.approx(4.968, abs=1e-3)
    assert found.interval == pytest.approx((57.032, 66.968), abs=1e-3)
    assert found.text() == "62.0 ± 5.0"
    assert found.plain()["degrees_of_freedom"] == 2


def test_one_value_has_no_error() -> None:
    found = mean_of([5.0])
    assert (found.half_width, found.interval, found.small) == (None, None, False)
    assert found.text(sign="+", mark=True) == "+5.0"


@pytest.mark.parametrize(
    ("mean", "freedom", "small"),
    [
        (1.95, math.inf, True),
        (-1.95, math.inf, True),
        (1.97, math.inf, False),
        (4.2, 2, True),
        (4.4, 2, False),
        (0.0, math.inf, True),
    ],
)
def test_a_difference_is_small_if_its_interval_contains_0(
    mean: float, freedom: float, small: bool
) -> None:
    found = Estimate(mean, 1.0, 3, freedom)
    assert found.small is small
    assert found.text(mark=True).endswith("~") is small
