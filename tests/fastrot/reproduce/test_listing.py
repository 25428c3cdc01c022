"""The numbers of the dry run, as text."""

import pytest

from fastrot.reproduce.listing import amount


@pytest.mark.parametrize(
    ("flop", "text"),
    [
        (2.64e12, "2.6 TFLOP"),
        (5.2e11, "0.52 TFLOP"),
        (5.63e14, "563 TFLOP"),
        (1.49e19, "14,900 PFLOP"),
    ],
)
def test_amounts_have_no_exponents(flop, text):
    assert amount(flop) == text
