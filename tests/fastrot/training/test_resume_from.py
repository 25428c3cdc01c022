"""A new run that begins at another run's checkpoint."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fastrot.cli import main
from fastrot.config import to_yaml
from fastrot.runs.checkpoint import load_checkpoint
from fastrot.training.run import train
from pipelines.errors import UsageError
from tests.helpers import moving_frames, write_video
from tests.processes import ranks


@pytest.fixture
def long(tiny_config):
    """Return the config of a run of six steps that keeps the checkpoint of each."""
    return tiny_config(name="long", train={"iterations": 6, "checkpoint_every": 1, "keep": 6})


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_same_ending(folder, straight, first):
    """Compare the weights, the momenta and the losses after step ``first`` with those of a straight run."""
    a, b = (load_checkpoint(each) for each in (folder, straight))
    assert a["step"] == b["step"] == 6
    for name, weight in b["model"].items():
        assert torch.equal(a["model"][name], weight), name
    for key, state in b["optimizer"]["state"].items():
        assert torch.equal(
            a["optimizer"]["state"][key]["momentum_buffer"], state["momentum_buffer"]
        )
    losses = {line["step"]: line["loss"] for line in metrics(straight)}
    assert [(line["step"], line["loss"]) for line in metrics(folder)] == [
        (step, losses[step]) for step in range(first + 1, 7)
    ]


def test_the_new_run_continues_as_the_old_one_did(long):
    straight = train(long, quiet=True).folder
    middle = straight / "checkpoints" / "step-00000003.pt"
    before = middle.read_bytes()
    result = train(replace(long, name="new"), resume_from=middle, quiet=True)
    assert result.folder == straight.parent / "new"
    assert_same_ending(result.folder, straight, 3)
    assert middle.read_bytes() == before
    log = (result.folder / "train.log").read_text()
    assert f"beginning from {middle}" in log
    assert "resuming after step 3" in log


@pytest.mark.parametrize("source", ["store", "reader"])
def test_it_has_a_checkpoint_of_its_own_at_once(source, long, tmp_path, monkeypatch):
    """A run that is killed in its first step continues by --resume alone, without the old run."""
    if source == "reader":  # whose position is DALI's own state
        films = tmp_path / "films"
        for i in range(3):
            write_video(films / f"{i}.mp4", moving_frames(30, 128, 144, i), codec="libvpx-vp9")
        data = replace(long.data, store=str(films), source="reader", split="all", size=40)
        long = replace(long, data=data)
    straight = train(long, quiet=True).folder
    middle = straight / "checkpoints" / "step-00000002.pt"
    new = replace(long, name="new")

    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fastrot.training.trainer.Trainer.advance", fail)
        with pytest.raises(KeyboardInterrupt):
            train(new, resume_from=middle, quiet=True)
    assert load_checkpoint(straight.parent / "new")["step"] == 2
    middle.unlink()
    train(new, resume=True, quiet=True)
    assert_same_ending(straight.parent / "new", straight, 2)


def test_with_resume_an_own_checkpoint_wins(long):
    straight = train(long, quiet=True).folder
    middle = straight / "checkpoints" / "step-00000004.pt"
    new = replace(long, name="new")
    for _ in range(2):  # the first begins, the second finds the run complete
        train(new, resume=True, resume_from=middle, quiet=True)
    folder = straight.parent / "new"
    log = (folder / "train.log").read_text()
    assert log.count("beginning from") == 1
    own = folder / "checkpoints" / "last.pt"
    assert (
        log.count(f"--resume-from {middle} is ignored: the run continues from its own {own}") == 1
    )
    assert "is already complete: 6 steps" in log
    for anyway in (False, True):
        with pytest.raises(UsageError, match="already exists"):
            train(new, resume_from=middle, anyway=anyway, quiet=True)


def test_what_differs_is_refused_unless_wanted(long):
    straight = train(long, quiet=True).folder
    middle = straight / "checkpoints" / "step-00000003.pt"
    other = replace(long, name="new", optim=replace(long.optim, lr=0.01))
    with pytest.raises(UsageError, match=r"optim\.lr was 0\.05, is now 0\.01"):
        train(other, resume_from=middle, quiet=True)
    assert not (straight.parent / "new").exists()
    train(other, resume_from=middle, anyway=True, quiet=True)
    assert [line["lr"] for line in metrics(straight.parent / "new")] == pytest.approx(
        [0.01, 0.001, 0.001]
    )


def test_all_processes_begin_from_the_same_checkpoint(long):
    """The other run may replace its last checkpoint between the first process and the next."""
    halves = replace(long, train=replace(long.train, accumulate=2, iterations=8))
    straight = train(halves, quiet=True).folder
    new = replace(halves, name="new", train=replace(long.train, iterations=12))
    fault = {0: ("replace loaded", 4)}
    with ranks(new, "--resume-from", str(straight), faults=fault) as runs:
        assert [run.wait() for run in runs] == [1, 1]
        printed = "".join(run.text for run in runs)
    assert "last.pt is another checkpoint in rank 1 than in rank 0: it was replaced" in printed
    assert printed.count("error") == 1
    assert not (straight.parent / "new").exists()


def test_a_checkpoint_at_the_end_leaves_nothing_to_train(long):
    straight = train(long, quiet=True).folder
    with pytest.raises(UsageError, match=r"last\.pt is at step 6, and the run ends after step 6"):
        train(replace(long, name="new"), resume_from=straight, quiet=True)
    assert not (straight.parent / "new").exists()


def test_the_best_network_is_the_new_runs_own(tiny_config):
    """The old run's best accuracy is no bar: otherwise the new run might have no best.pt."""
    steps = {"iterations": 4, "eval_every": 2, "checkpoint_every": 1, "keep": 4}
    config = tiny_config(name="old", train=steps, data={"eval_split": "test1"})
    old = train(config, quiet=True).folder
    middle = old / "checkpoints" / "step-00000003.pt"
    result = train(replace(config, name="new"), resume_from=middle, quiet=True)
    assert result.best is not None
    assert load_checkpoint(result.best)["step"] == 4


def test_the_command(long, tmp_path, capsys):
    straight = train(long, quiet=True).folder
    (tmp_path / "run.yaml").write_text(to_yaml(long))
    command = ["pretrain", str(tmp_path / "run.yaml"), "name=new", "train.iterations=8"]
    assert main([*command, "--resume-from", str(tmp_path / "none")]) == 1
    assert "none does not exist" in capsys.readouterr().err
    assert main([*command, "--resume-from", str(straight)]) == 0
    new = Path(long.out) / "new"
    assert [line["step"] for line in metrics(new)] == [7, 8]
    assert json.loads((new / "state.json").read_text())["state"] == "done"
