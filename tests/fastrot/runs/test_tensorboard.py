"""TensorBoard shows the numbers in metrics.jsonl."""

import json
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fastrot.runs.tensorboard import Curves
from fastrot.training.run import train
from pipelines.errors import UsageError


def read(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def test_the_curves_are_the_metrics(tiny_config):
    config = tiny_config(train={"iterations": 2}, log={"tensorboard": True})
    folder = train(config, quiet=True).folder
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    curves = read(folder / "tensorboard")
    assert [step for step, _ in curves["loss"]] == [1, 2]
    assert [value for _, value in curves["loss"]] == pytest.approx([line["loss"] for line in lines])
    assert {"accuracy", "lr", "clips_per_s", "data_wait_share"} <= curves.keys()
    assert not {"step", "samples"} & curves.keys()


def test_nested_numbers_are_curves_and_words_are_not(tmp_path):
    curves = Curves(tmp_path, step=0)
    curves.add({"step": 3, "split": "test1", "evaluation": {"accuracy": 0.5, "per_class": [1, 2]}})
    curves.close()
    assert read(tmp_path) == {"evaluation/accuracy": [(3, 0.5)]}


def test_a_run_that_goes_on_cuts_off_what_it_does_again(tmp_path):
    for step, value in ((0, 1.0), (1, 2.0)):
        curves = Curves(tmp_path, step=step)
        for later in (1, 2, 3):
            curves.add({"step": step + later, "loss": value})
        curves.close()
    assert read(tmp_path)["loss"] == [(1, 1.0), (2, 2.0), (3, 2.0), (4, 2.0)]


def test_without_tensorboard_the_run_says_so_and_off_it_needs_none(tiny_config, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    train(tiny_config(name="off", train={"iterations": 1}), quiet=True)
    config = tiny_config(train={"iterations": 1}, log={"tensorboard": True})
    with pytest.raises(UsageError, match="pip install tensorboard"):
        train(config, quiet=True)
    assert not (Path(config.out) / config.name).exists()
