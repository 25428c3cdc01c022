import pytest
import torch

from benchmarks.harness import limits
from benchmarks.harness.limits import copy_case, fill_case, matmul_case, ratio, with_share
from benchmarks.harness.measure import Figure, Outcome

CPU = torch.device("cpu")


def test_limits_count_what_they_move_and_multiply(monkeypatch):
    calls = []

    def two_seconds(action, device, count):
        action()
        calls.append(count)
        return 2.0

    monkeypatch.setattr(limits, "seconds_per_call", two_seconds)
    # A copy reads and writes, a fill writes; a product of n x n matrices multiplies and adds n^3 times.
    assert copy_case(CPU, megabytes=3, calls=7).measure() == {"gb_per_s": pytest.approx(0.003)}
    filled = fill_case(1000, torch.float32, CPU, calls=1).measure()
    assert filled == {"gb_per_s": pytest.approx(2e-6)}
    product = matmul_case(torch.float32, CPU, size=10, calls=1).measure()
    assert product == {"tflop_per_s": pytest.approx(1e-9)}
    assert calls == [7, 7, 1, 1, 1, 1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: copy_case(CPU, megabytes=1, calls=4),
        lambda: fill_case(10, torch.float32, CPU, calls=4),
        lambda: matmul_case(torch.float32, CPU, size=4, calls=4),
    ],
    ids=["copy", "fill", "matmul"],
)
def test_a_cold_call_does_not_count(monkeypatch, make):
    """The first measurement of a process, which compiles and loads, is dropped."""
    times = iter([50.0, 2.0])
    monkeypatch.setattr(limits, "seconds_per_call", lambda *_: next(times))
    ((rate,),) = [make().measure().values()]
    times = iter([2.0, 2.0])
    assert rate == next(iter(make().measure().values()))


def test_a_share_is_of_the_limits_median():
    limit = Outcome("limit", figures={"rate": Figure.of([10.0, 40.0, 20.0])})
    case = Outcome("case", figures={"rate": Figure.of([5.0, 10.0])})
    absent = Outcome("absent", not_here="no such thing")
    measured, still_absent = with_share([case, absent], "rate", limit, "share")
    assert measured.figures["share"].values == (0.25, 0.5)
    assert still_absent == absent
    assert with_share([case], "rate", absent, "share") == [case]


def test_a_ratio_of_what_was_not_measured_is_none():
    assert ratio(6.0, 3.0) == 2
    assert ratio(None, 3.0) is None
    assert ratio(6.0, None) is None
