import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from fastrot.cli import main
from fastrot.config import Config
from fastrot.distributed.runtime import Runtime
from fastrot.models.batch_norm import BatchNorm
from fastrot.runs.checkpoint import load_checkpoint
from fastrot.training.run import train
from tests.fastrot.training.steps import losses
from tests.processes import fastrot_in_two, finish

TinyConfig = Callable[..., Config]


def lines(config: Config) -> list[dict[str, Any]]:
    text = (Path(config.out) / config.name / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def last_of(config: Config) -> dict[str, Any]:
    return load_checkpoint(Path(config.out) / config.name / "checkpoints" / "last.pt")


def assert_same_training(one: Config, several: Config, *, slots: int) -> None:
    """Compare the losses and weights of a run in one process with those of a run in several."""
    for mine, theirs in zip(lines(one), lines(several), strict=True):
        assert theirs["loss"] == pytest.approx(mine["loss"], rel=1e-4)
        assert (theirs["accuracy"], theirs["samples"]) == (mine["accuracy"], mine["samples"])
    shared = last_of(several)
    assert shared["slots"] == slots
    for name, weight in last_of(one)["model"].items():
        if "running" not in name and "num_batches" not in name:  # those of one process's clips
            torch.testing.assert_close(shared["model"][name], weight, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("train_keys", "model", "static"),
    [
        ({"accumulate": 1}, {"freeze": 2}, True),
        (
            {"accumulate": 2},
            {},
            False,
        ),  # only every second backward pass is followed by an exchange
    ],
)
def test_the_graph_is_static_unless_micro_batches_add_up(
    tiny_config: TinyConfig,
    runtime: Runtime,
    group: None,
    train_keys: dict[str, int],
    model: dict[str, int],
    static: bool,
) -> None:
    config = tiny_config(train=train_keys, model=model)
    alone, before = losses(config, runtime)
    # Claiming two processes wraps the network as for several; the group has one.
    shared, after = losses(config, replace(runtime, world=2))
    wrapped = after._parallel
    assert isinstance(wrapped, DistributedDataParallel)
    assert wrapped.gradient_as_bucket_view
    assert wrapped.static_graph == static
    assert not wrapped.broadcast_buffers
    assert shared == pytest.approx(alone, rel=1e-6)
    for mine, theirs in zip(before.network.parameters(), after.network.parameters(), strict=True):
        torch.testing.assert_close(theirs, mine, rtol=1e-5, atol=1e-6)


def test_buffers_besides_statistics_are_broadcast(runtime: Runtime, group: None) -> None:
    network = torch.nn.Sequential(BatchNorm(2), torch.nn.Linear(2, 2))
    several = replace(runtime, world=2)
    assert several.distribute(network).broadcast_buffers is False
    network[1].register_buffer("queue", torch.zeros(3))
    assert several.distribute(network).broadcast_buffers is True


@pytest.mark.skipif(torch.cuda.is_available(), reason="compares CPU processes")
def test_two_processes_evaluate_the_network_that_is_saved(
    tiny_config: TinyConfig, tmp_path: Path
) -> None:
    """Their statistics differ in training: in the evaluation, both have rank 0's."""
    config = tiny_config(data={"eval_split": "test1"}, train={"iterations": 3, "eval_every": 3})
    assert finish(config, world=2) == [0, 0]
    (recorded,) = [line["evaluation"] for line in lines(config) if "evaluation" in line]
    last = Path(config.out) / config.name / "checkpoints" / "last.pt"
    command = ["evaluate", "rotation", str(last), "--store", config.data.store, "--split", "test1"]
    assert main([*command, "--out", str(tmp_path / "alone")]) == 0
    alone = json.loads((tmp_path / "alone" / "results.json").read_text())
    assert recorded["confusion"] == alone["confusion"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="compares CPU processes")
@pytest.mark.parametrize("speeds", [[], [1, 4]])  # one video is too short for the faster
def test_two_processes_equal_one_that_accumulates_two_micro_batches(
    tiny_config: TinyConfig, speeds: list[int]
) -> None:
    training = {"accumulate": 2, "log_every": 2}
    one = tiny_config(name="one", train=training, rotation={"speeds": speeds})
    train(one)
    two = replace(one, name="two", train=replace(one.train, accumulate=1))
    assert finish(two, world=2) == [0, 0]

    assert [line["step"] for line in lines(two)] == [2, 4, 6]
    assert_same_training(one, two, slots=2)
    mine, theirs = ([line.get("speed_accuracy") for line in lines(each)] for each in (one, two))
    assert mine == theirs
    assert (None in mine) == (not speeds)


@pytest.mark.skipif(torch.cuda.is_available(), reason="compares CPU processes")
def test_two_processes_evaluate_what_one_does(tiny_config: TinyConfig, tmp_path: Path) -> None:
    config = tiny_config(task="action", train={"iterations": 2})
    last = str(train(config).last)
    # 6 videos x 3 clips in batches of 4: the shares end in the middle of a video and of a batch.
    command = ["evaluate", "action", last, "--store", config.data.store, "--split", "all"]
    command += ["--clips", "3", "--batch", "4", "--out"]
    fastrot_in_two(*command, str(tmp_path / "two"), folder=tmp_path)
    assert main([*command, str(tmp_path / "one")]) == 0
    one, two = (
        json.loads((tmp_path / name / "results.json").read_text()) for name in ("one", "two")
    )
    for key in ("clip_top1", "clip_top5", "video_top1", "video_top5", "protocol"):
        assert one[key] == two[key]
