"""The last training accuracy of a run, by hand."""

import json

import pytest

from fastrot.runs.training_accuracy import training_accuracy
from pipelines.errors import FastrotError

WINDOWS = [(50, 0.1, 800), (90, 0.2, 640), (95, 0.8, 80), (100, 0.9, 40)]


def test_the_last_tenth_of_the_steps_counts_by_its_clips(tmp_path):
    lines = [{"step": step, "accuracy": right, "clips": clips} for step, right, clips in WINDOWS]
    lines.append({"step": 100, "eval_accuracy": 0.1})  # an evaluation has no training accuracy
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    # steps 91 to 100: (0.8 * 80 + 0.9 * 40) / 120
    assert training_accuracy(tmp_path) == pytest.approx(100 * 100 / 120)


def test_a_run_without_metrics_has_no_training_accuracy(tmp_path):
    assert training_accuracy(tmp_path) is None
    (tmp_path / "metrics.jsonl").write_text("")
    assert training_accuracy(tmp_path) is None


def test_damaged_metrics_are_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("{")
    with pytest.raises(FastrotError, match=r"metrics\.jsonl is damaged"):
        training_accuracy(tmp_path)
