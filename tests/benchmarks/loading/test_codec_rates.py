"""What the acceptance concludes from the rates of mjpeg with and without the hardware decoder."""

import pytest
import torch

from benchmarks.harness.measure import Case, Figure, Options, Outcome
from benchmarks.loading import codec_rates
from benchmarks.loading.codec_rates import SHARES, hardware_notes
from fastrot.distributed.runtime import Runtime


def outcome(share: float, rate: float | None) -> Outcome:
    name = f"fastrot, mjpeg, rgb 16, hw_decoder_load {share:g}"
    figures = {} if rate is None else {"clips_per_s": Figure.of([rate])}
    return Outcome(name, figures=figures)


@pytest.mark.parametrize(
    ("first", "others", "says"),
    [(100.0, 101.0, True), (100.0, 150.0, False), (150.0, 100.0, False), (100.0, None, False)],
)
def test_no_difference_is_said(first: float, others: float | None, says: bool) -> None:
    found = [outcome(share, others if place else first) for place, share in enumerate(SHARES)]
    notes = hardware_notes({each.name: each for each in found})
    assert [("may be unused" in note) for note in notes] == [True] * says


def test_on_a_gpu_the_shares_of_the_hardware_decoder_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds: list[tuple[list[str], int]] = []

    def interleave(cases: list[Case], *, repeats: int, **_: object) -> dict[str, Outcome]:
        rounds.append(([case.name for case in cases], repeats))
        return {case.name: Outcome(case.name) for case in cases}

    monkeypatch.setattr(codec_rates, "interleave", interleave)
    gpu = Runtime(torch.device("cuda", 0), rank=0, world=1, threads=1, precision="bf16")
    result = codec_rates.run(Options(gpu, quick=True, shown=False), budget_s=60)
    (shares, twice), (others, _) = rounds
    name = "fastrot, mjpeg, rgb 16"
    assert shares == [f"{name}, hw_decoder_load {share}" for share in (0, 0.25, 0.4, 0.65, 1)]
    assert twice == 2
    assert name in others
    assert [case.name for case in result.cases] == shares + others


def test_on_a_cpu_there_is_nothing_to_say() -> None:
    assert hardware_notes({}) == []
