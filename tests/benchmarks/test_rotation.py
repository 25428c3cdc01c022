import pytest
import torch

from benchmarks import rotation
from benchmarks.harness.measure import Figure, NotHere, Options, Outcome, interleave
from benchmarks.rotation import (
    channels_first,
    normalize_rot90_cat,
    pixel_statistics,
    rot90_cat_normalize,
)
from fastrot.distributed.runtime import Runtime

CPU = Runtime(torch.device("cpu"), rank=0, world=1, threads=1, precision="fp32")


@pytest.mark.parametrize("way", [rot90_cat_normalize, normalize_rot90_cat, channels_first])
def test_a_plain_way_turns_counter_clockwise_and_normalises(way):
    clips = torch.arange(2 * 2 * 2 * 3, dtype=torch.uint8).view(1, 2, 2, 2, 3)
    found = way(clips, *pixel_statistics(CPU.device), torch.float32)
    assert found.shape == (4, 3, 2, 2, 2)

    def value(frame, row, column, channel):
        pixel = clips[0, frame, row, column, channel].item() / 255
        return (pixel - rotation.MEAN[channel]) / rotation.STD[channel]

    for channel in range(3):
        # Turned by 90 degrees, the top right pixel goes to the top left, the bottom right to the top right.
        turned = found[1, channel, 1]
        assert turned[0, 0].item() == pytest.approx(value(1, 0, 1, channel), rel=1e-5)
        assert turned[0, 1].item() == pytest.approx(value(1, 1, 1, channel), rel=1e-5)
        assert found[2, channel, 0, 0, 0].item() == pytest.approx(value(0, 1, 1, channel), rel=1e-5)
        assert found[3, channel, 0, 0, 0].item() == pytest.approx(value(0, 1, 0, channel), rel=1e-5)


def test_every_way_is_measured_beside_the_limit(monkeypatch):
    def no_compiler(device):
        raise NotHere("compiling takes longer than a test may")

    monkeypatch.setattr(rotation, "require_compiler", no_compiler)
    found = rotation.run(Options(CPU, quick=True, shown=False), budget_s=60)
    by_name = {outcome.name: outcome for outcome in found.cases}
    assert by_name.pop("compiled").not_here == "compiling takes longer than a test may"
    assert [outcome.reason for outcome in by_name.values()] == [None] * len(by_name)
    (limit,) = found.limits
    fused = by_name["fused"]
    assert fused.median("share_of_fill") == pytest.approx(
        fused.median("gb_per_s") / limit.median("gb_per_s")
    )
    assert fused.median("times_fused") == pytest.approx(1)
    # 2 clips of 2 frames of 16x16: uint8 read once, 4 rotations of fp32 written.
    values = 2 * 2 * 16 * 16
    seconds = fused.figures["ms_per_batch"].values[0] / 1e3
    rate = fused.figures["gb_per_s"].values[0] * 1e9
    assert rate * seconds == pytest.approx(values * (3 + 4 * 3 * 4))
    eight = by_name["fused, 8 channels"].figures
    rate = eight["gb_per_s"].values[0] * 1e9 * eight["ms_per_batch"].values[0] / 1e3
    assert rate == pytest.approx(values * (3 + 4 * 8 * 4))


def test_a_way_that_gives_something_else_is_a_failure():
    clips = torch.ones((1, 1, 4, 4, 3), dtype=torch.uint8)

    def right(batch):
        return rot90_cat_normalize(batch, *pixel_statistics(batch.device), torch.float32)

    case = rotation._case(
        "wrong",
        lambda batch: right(batch) + 1,
        [clips],
        dtype=torch.float32,
        truth=right,
        calls=1,
    )
    outcome = interleave([case], budget_s=10, shown=False)["wrong"]
    assert outcome.failed is not None
    assert not outcome.figures


def test_goals_stand_against_the_named_baseline_and_on_a_gpu_against_the_best_one_too():
    times = {"fused": 2.0, "rot90 + cat + normalise": 20.0, "normalise + rot90 + cat": 12.0}
    cases = [
        Outcome(
            name,
            repeats=2,
            figures={"ms_per_batch": Figure.of([ms]), "share_of_copy": Figure.of([0.9])},
        )
        for name, ms in times.items()
    ]
    copy = Outcome("copy", repeats=2)
    cases.append(Outcome("the same, channels first", failed="OutOfMemoryError"))
    (over,) = rotation._goals(cases, copy, gpu=False)
    assert (over.value, over.goal) == (10.0, 3)
    assert [(goal.value, goal.met) for goal in rotation._goals(cases, copy, gpu=True)] == [
        (10.0, True),
        (6.0, False),
        (0.9, True),
    ]
