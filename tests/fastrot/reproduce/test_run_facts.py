"""What a run's files say, by hand."""

import pytest

from fastrot.reproduce.run_facts import Settings, settings_of, training_accuracy
from pipelines.errors import FastrotError


def test_the_last_tenth_of_the_steps_counts_by_its_clips(bench):
    windows = [(50, 0.1, 800), (90, 0.2, 640), (95, 0.8, 80), (100, 0.9, 40)]
    folder = bench.finished(bench.run(), windows)
    # steps 91 to 100: (0.8 * 80 + 0.9 * 40) / 120
    assert training_accuracy(folder) == pytest.approx(100 * 100 / 120)
    # An evaluation's line has no training accuracy.
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 100, "eval_accuracy": 0.1}\n')
    assert training_accuracy(folder) == pytest.approx(100 * 100 / 120)


def test_a_run_without_metrics_has_no_training_accuracy(bench, tmp_path):
    assert training_accuracy(tmp_path) is None
    assert training_accuracy(bench.finished(bench.run())) is None


def test_damaged_metrics_are_named(bench):
    folder = bench.finished(bench.run())
    (folder / "metrics.jsonl").write_text("{")
    with pytest.raises(FastrotError, match=r"metrics\.jsonl is damaged"):
        training_accuracy(folder)


def test_settings_are_those_resolved_in_the_run(bench):
    folder = bench.finished(
        bench.run(), train={"accumulate": 2, "sync_bn": True}, world_size=8, precision="bf16"
    )
    assert settings_of(folder) == Settings(8, 2, "bf16", True)
    (folder / "env.json").unlink()
    with pytest.raises(FastrotError, match="is not a finished run"):
        settings_of(folder)
