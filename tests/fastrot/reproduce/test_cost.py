"""Costs against arithmetic, and the rates that turn them into hours."""

import pytest

from benchmarks.harness.measure import Figure, Outcome, Result
from benchmarks.harness.session import save
from fastrot.reproduce.cost import measure_flop, read_rate, train_flop
from fastrot.reproduce.variants import Variant
from pipelines.errors import FastrotError, UsageError


def test_the_papers_pretraining_costs_what_arithmetic_says(paper_preset):
    # 104,000 x 128 clips x 43.2 GFLOP = 575 PFLOP
    flop = train_flop(paper_preset.preset.pretrain("kinetics"), None)
    assert flop == pytest.approx(575e15, rel=0.01)


def test_smaller_patches_and_frozen_blocks_cost_less(paper_preset):
    """Against numbers computed from the shapes of every convolution, independently of this code."""
    preset = paper_preset.preset
    eight = "+".join(str(45 * step) for step in range(8))
    base = preset.pretrain("kinetics")
    for run, videos, pflop in (
        (preset.pretrain("kinetics", rotation=eight), None, 494),  # 1,149 at 112 pixels
        (preset.pretrain("kinetics", rotation="360"), None, 247),  # 575 at 112 pixels
        (preset.finetune("ucf101", base, freeze=5), 9_537, 16),  # 41 with nothing frozen
    ):
        assert round(train_flop(run, videos) / 1e15) == pflop, run.name


def test_a_network_with_speeds_is_measured_at_each(demo_preset):
    plain = demo_preset.pretrain("kinetics")
    speeds = demo_preset.pretrain(
        "kinetics", variant=Variant("-speed", overrides=("rotation.speeds=[1, 2, 3]",))
    )
    one, three = (
        measure_flop(demo_preset.rotation_accuracy(run, "ucf101").measurements[0], 10)
        for run in (plain, speeds)
    )
    assert three == 3 * one
    assert train_flop(speeds, None) == train_flop(plain, None)  # the same number of clips


def test_a_rate_is_a_number_or_a_benchmarks_file(tmp_path):
    assert read_rate("400").tflops == 400
    file = tmp_path / "train.json"
    slow, fast, peak = (
        Outcome(name, figures={"tflop_per_s": Figure.of([rate])})
        for name, rate in (("slow", 3.0), ("fast", 5.0), ("matmul", 900.0))
    )
    save(file, {}, [Result("train", {}, [slow, fast, Outcome("gone")], [peak])], took_s=1)
    rate = read_rate(str(file))
    assert rate.tflops == 5  # the matrix product's 900 is no training
    # 5e12 FLOP a second are 18e15 an hour
    assert rate.hours(18e15) == pytest.approx(1.0)
    with pytest.raises(UsageError, match="neither a number"):
        read_rate(str(tmp_path / "none.json"))
    file.write_text("{}")
    with pytest.raises(FastrotError, match="no training rates"):
        read_rate(str(file))
