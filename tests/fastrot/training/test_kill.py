"""A run that is killed again and again ends as one that never was."""

import json
import signal
import time
from pathlib import Path

import pytest
import torch

from fastrot.runs.checkpoint import load_checkpoint
from tests.helpers import moving_frames, write_video
from tests.processes import finish, ranks

KILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    root = tmp_path_factory.mktemp("films")
    for i in range(3):
        write_video(root / f"{i}.mp4", moving_frames(30, 128, 144, i), codec="libvpx-vp9")
    return root


def losses(config):
    text = (Path(config.out) / config.name / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    return [(line["step"], line["loss"], line["accuracy"], line["lr"]) for line in lines]


def state(config):
    return load_checkpoint(Path(config.out) / config.name / "checkpoints" / "last.pt")


def assert_same(a, b):
    """Compare losses, and all tensors of two runs' last checkpoints bit by bit."""
    assert losses(a) == losses(b)
    first, second = state(a), state(b)
    for key, value in first["model"].items():
        assert torch.equal(value, second["model"][key]), key
    for key, value in first["optimizer"]["state"].items():
        assert torch.equal(
            value["momentum_buffer"], second["optimizer"]["state"][key]["momentum_buffer"]
        )
    assert first["rng"] == second["rng"]


CASES = {
    "rotation": {},
    "action with dropout": {"task": "action", "model": {"dropout": 0.5}},
    "reader": {"source": True},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("world", [1, 2])
def test_killed_at_any_step_and_resumed_it_ends_the_same(tiny_config, films, case, world):
    changes = dict(CASES[case])
    if changes.pop("source", False):
        data = {"store": str(films), "source": "reader", "size": 40, "split": "all"}
        changes["data"] = {**data, "step": 3}
    options = {"train": {"checkpoint_every": 2, "iterations": 6, "batch": 4}, **changes}
    straight = tiny_config(name="straight", **options)
    killed = tiny_config(name="killed", **options)
    assert finish(straight, world=world) == [0] * world
    # Before any checkpoint, in the middle of one's writing, and between two.
    at = [("kill", 1), ("kill saving", 2), ("kill", 5)] if world == 1 else [("kill", 3)]
    for fault in at:
        codes = finish(killed, "--resume", world=world, fault=fault)
        assert KILLED in codes
    assert finish(killed, "--resume", world=world) == [0] * world
    assert_same(straight, killed)


def test_a_killed_rank_ends_the_other_with_its_name(tiny_config):
    config = tiny_config(train={"checkpoint_every": 2, "timeout_s": 30.0})
    with ranks(config, faults={1: ("kill", 3)}) as runs:
        assert runs[1].wait() == KILLED
        assert runs[0].wait() == 1
    assert f"rank 1 (process {runs[1].process.pid} on " in runs[0].text
    assert "ended: the run cannot continue" in runs[0].text
    assert "Traceback" not in runs[0].text


@pytest.mark.slow
@pytest.mark.parametrize("stuck", [0, 1])
def test_a_hung_rank_is_given_up_and_named(tiny_config, stuck):
    config = tiny_config(train={"timeout_s": 2.0})
    with ranks(config, faults={stuck: ("hang", 2)}) as runs:
        assert runs[1 - stuck].wait() == 1
        assert f"rank {stuck} (process {runs[stuck].process.pid} on " in runs[1 - stuck].text
    assert "did not respond for 2 s (train.timeout_s)" in runs[1 - stuck].text
    assert "Traceback" not in runs[1 - stuck].text


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 75),
        (signal.SIGUSR1, 75),
        (signal.SIGHUP, 75),
        (signal.SIGQUIT, 75),
        (signal.SIGINT, 130),
    ],
)
def test_a_signal_to_one_rank_saves_in_the_step_and_stops_all(tiny_config, number, code):
    options = {"iterations": 400, "log_every": 1000}
    config = tiny_config(name=f"signal{number}", train=options)
    with ranks(config, faults={0: ("slow", 0), 1: ("slow", 0)}) as runs:
        runs[1].await_text("did step 2\n")
        runs[1].send(number)
        assert [run.wait(10) for run in runs] == [code, code]
    step = state(config)["step"]
    assert 2 <= step <= 5
    assert f"interrupted after step {step}" in runs[0].text


def test_a_second_ctrl_c_ends_even_a_process_that_waits_for_another(tiny_config):
    config = tiny_config()
    with ranks(config, faults={0: ("slow", 0), 1: ("hang", 1)}) as runs:
        runs[0].await_text("did step 1\n")
        time.sleep(1)  # until it waits in step 2: before, both would agree to end after step 1
        runs[0].send(signal.SIGINT)
        runs[0].process.join(0.5)
        runs[0].send(signal.SIGINT)
        assert runs[0].wait(10) == 130
