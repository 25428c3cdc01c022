"""An evaluation costs no training: what ended in it evaluates first when it is resumed."""

import json
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fastrot.runs.checkpoint import load_checkpoint
from fastrot.training.interrupt import PREEMPTED
from fastrot.training.run import train
from pipelines.errors import FastrotError, PreemptedError
from pipelines.loading.skipping import SkippingLoader
from pipelines.store.reading import Store
from tests.processes import finish, ranks

KILLED = -signal.SIGKILL


def metrics(config):
    """Return the lines of metrics.jsonl without what a clock measured."""
    lines = (Path(config.out) / config.name / "metrics.jsonl").read_text().splitlines()
    kept = ("step", "loss", "accuracy", "lr", "eval_accuracy", "evaluation")
    return [
        {key: value for key, value in json.loads(line).items() if key in kept} for line in lines
    ]


def checkpoint(config, name="last.pt"):
    return load_checkpoint(Path(config.out) / config.name / "checkpoints" / name)


@pytest.mark.slow
@pytest.mark.parametrize(("world", "at"), [(1, 4), (1, 6), (2, 6)])
def test_killed_in_an_evaluation_and_resumed_it_ends_the_same(tiny_config, world, at):
    options = {"data": {"eval_split": "test1"}, "train": {"eval_every": 2}}
    straight = tiny_config(name="straight", **options)
    killed = tiny_config(name="killed", **options)
    assert finish(straight, world=world) == [0] * world
    assert KILLED in finish(killed, world=world, fault=("kill evaluating", at))
    saved = checkpoint(killed)
    assert (saved["step"], saved["evaluation_owed"]) == (at, True)
    assert finish(killed, "--resume", world=world) == [0] * world
    assert metrics(killed) == metrics(straight)
    for name in ("last.pt", "best.pt"):
        first, second = checkpoint(straight, name), checkpoint(killed, name)
        assert not second["evaluation_owed"]
        assert second["step"] == first["step"]
        times = {"seconds": 0.0}
        assert {**first["standing"], **times} == {**second["standing"], **times}
        assert all(torch.equal(first["model"][key], second["model"][key]) for key in first["model"])


def test_an_evaluation_that_was_recorded_and_not_saved_is_not_recorded_twice(
    tiny_config, monkeypatch
):
    config = tiny_config(data={"eval_split": "test1"}, train={"iterations": 2})
    with monkeypatch.context() as patch:
        patch.setattr("fastrot.runs.run_folder.RunFolder.best", property(lambda _: 1 / 0))
        with pytest.raises(ZeroDivisionError):
            train(config, quiet=True)
    assert sum("eval_accuracy" in line for line in metrics(config)) == 1
    result = train(config, resume=True, quiet=True)
    assert sum("eval_accuracy" in line for line in metrics(config)) == 1
    assert result.best is not None
    assert result.best.exists()


def test_a_signal_before_an_evaluation_leaves_it_to_the_resumed_run(tiny_config, monkeypatch):
    config = tiny_config(data={"eval_split": "test1"}, train={"iterations": 2})
    with monkeypatch.context() as patch:
        patch.setattr("fastrot.training.interrupt.Interrupt.__init__", _asked_already)
        with pytest.raises(PreemptedError):
            train(replace(config, train=replace(config.train, eval_every=1)), quiet=True)
    assert checkpoint(config)["evaluation_owed"]
    assert not [line for line in metrics(config) if "eval_accuracy" in line]
    train(config, resume=True, quiet=True)
    assert [line["step"] for line in metrics(config) if "eval_accuracy" in line] == [1, 2]


def _asked_already(self):
    self.asked = PREEMPTED
    self._before = {}
    self._left = threading.Event()


@pytest.fixture
def spoilt(make_store, tmp_path):
    shutil.copytree(make_store().path, tmp_path / "spoilt")
    store = Store.open(tmp_path / "spoilt")
    video = int(store.select("test1")[0])
    with store.shard_path(video).open("r+b") as file:
        file.seek(int(store.offset[video]))
        file.write(bytes(int(store.bytes[video])))
    return store, video


def test_an_unreadable_video_is_named_and_the_run_ends_well(tiny_config, spoilt):
    store, video = spoilt
    data = {"store": str(store.path), "eval_split": "test1"}
    config = tiny_config(data=data, train={"iterations": 2})
    result = train(config, quiet=True)
    assert result.eval_accuracy is not None
    (line,) = (line for line in metrics(config) if "eval_accuracy" in line)
    assert [each["video"] for each in line["evaluation"]["skipped"]] == [store.name(video)]
    assert line["evaluation"]["clips"] == 1
    log = (Path(config.out) / config.name / "train.log").read_text()
    assert "1 video skipped as unreadable:" in log
    assert store.name(video) in log


def test_above_the_tolerance_the_training_is_kept(tiny_config, spoilt):
    store, _ = spoilt
    data = {"store": str(store.path), "eval_split": "test1", "broken_share": 0.0}
    config = tiny_config(data=data, train={"iterations": 2})
    with pytest.raises(FastrotError, match="1 of 2 videos cannot be read"):
        train(config, quiet=True)
    assert checkpoint(config)["step"] == 2
    tolerant = replace(config, data=replace(config.data, broken_share=0.01))
    assert train(tolerant, resume=True, quiet=True).eval_accuracy is not None


def test_the_skipping_loader_passes_on_what_its_loader_says():
    class Inner:
        stats = "stats"

        def position(self):
            return b"here"

    loader = SkippingLoader(Inner(), [])
    assert (loader.stats, loader.position()) == ("stats", b"here")


def test_two_ranks_print_an_equal_error_once(tiny_config):
    config = tiny_config(data={"store": "/nowhere"})
    with ranks(config) as runs:
        assert [run.wait() for run in runs] == [1, 1]
        assert sum(run.text.count("nowhere is not a store") for run in runs) == 1
