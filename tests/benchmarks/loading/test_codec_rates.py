"""What the acceptance concludes from the rates of mjpeg with and without the hardware decoder."""

import pytest

from benchmarks.harness.measure import Figure, Outcome
from benchmarks.loading.codec_rates import hardware_notes


def outcome(share: int, rate: float | None) -> Outcome:
    name = f"fastrot, mjpeg, rgb 16, hw_decoder_load {share}"
    figures = {} if rate is None else {"clips_per_s": Figure.of([rate])}
    return Outcome(name, figures=figures)


@pytest.mark.parametrize(
    ("without", "with_it", "says"),
    [(100.0, 101.0, True), (100.0, 150.0, False), (150.0, 100.0, False), (100.0, None, False)],
)
def test_no_difference_is_said(without: float, with_it: float | None, says: bool) -> None:
    both = [outcome(0, without), outcome(1, with_it)]
    notes = hardware_notes({each.name: each for each in both})
    assert [("may be unused" in note) for note in notes] == [True] * says


def test_on_a_cpu_there_is_nothing_to_say() -> None:
    assert hardware_notes({}) == []
