"""What a run prints about its duration."""

from dataclasses import replace

import pytest
import torch

from fastrot.models.flops import train_flops
from fastrot.training import pace
from fastrot.training.pace import Pace, cpu_note
from fastrot.training.run import train


def test_the_first_steps_tell_the_rate_without_what_the_first_one_sets_up():
    told = Pace(100, 1100)
    due = [step for step in range(101, 1101) if told.due(step)]
    assert due == [101, 102, 105, 110]
    seconds = {step: 50.0 + 20.0 * (step - 101) for step in due}
    assert [told.line(step, seconds[step]) for step in due] == [
        "step 101/1100  50.0 s/step, about 14 hours left",  # 999 x 50 s
        "step 102/1100  20.0 s/step, about 6 hours left",  # 998 x 20 s = 5.5 h
        "step 105/1100  20.0 s/step, about 6 hours left",
        "step 110/1100  20.0 s/step, about 6 hours left",
    ]


def test_a_paper_sized_run_on_a_cpu_is_told_its_length(runtime, monkeypatch):
    monkeypatch.setattr(pace, "measured_rate", lambda: 0.2e12)
    flop = 104_000 * 128 * train_flops()
    days = flop / 0.2e12 / 86400
    note = cpu_note(flop, runtime)
    assert f"about {days:.0f} days: " in note
    assert "fastrot demo --source VIDEOS" in note
    assert cpu_note(flop / 100, runtime) is None  # eight hours
    assert cpu_note(flop, replace(runtime, device=torch.device("cuda"))) is None


def test_a_small_run_is_not_measured_at_all(runtime, monkeypatch):
    monkeypatch.setattr(pace, "measured_rate", lambda: pytest.fail("measured"))
    assert cpu_note(1e14, runtime) is None


def test_the_rate_is_measured_without_touching_the_generators():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    assert 1e8 < pace.measured_rate() < 1e14
    assert torch.equal(torch.rand(3), expected)


def test_a_run_tells_the_rate_of_its_first_steps_and_measures_as_before(tiny_config):
    config = tiny_config(train={"iterations": 6, "log_every": 4})
    result = train(config, quiet=True)
    lines = (result.folder / "train.log").read_text().splitlines()
    steps = [line.split()[2] for line in lines if " step " in line]
    assert steps == ["1/6", "2/6", "4/6", "5/6", "6/6"]
    assert (result.folder / "metrics.jsonl").read_text().count("\n") == 2
    assert not any("this CPU" in line for line in lines)


def test_a_run_that_is_too_long_for_a_cpu_says_so_before_its_first_step(tiny_config, monkeypatch):
    for name, value in (("_WORTH_MEASURING", 0.0), ("LONG_S", 0.0)):
        monkeypatch.setattr(pace, name, value)
    config = tiny_config(train={"iterations": 1})
    result = train(replace(config, name="long"), quiet=True)
    lines = (result.folder / "train.log").read_text().splitlines()
    (at,) = [number for number, line in enumerate(lines) if "on this CPU" in line]
    assert at < min(number for number, line in enumerate(lines) if " step 1/1 " in line)
