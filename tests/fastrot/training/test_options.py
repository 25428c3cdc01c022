"""Options of a run, end to end on tiny networks."""

import json
import math
from pathlib import Path

import pytest
import torch

from fastrot.runs.checkpoint import load_checkpoint
from fastrot.training.run import train
from fastrot.training.trainer import Trainer
from pipelines.errors import FastrotError, UsageError


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    "rotation",
    [
        {"degrees": [0, 45, 90, 135, 180, 225, 270, 315]},
        {"kind": "regress", "loss": "l1", "views": 2},
        {"kind": "regress", "loss": "l2"},
    ],
)
def test_the_other_pretext_tasks_train_and_resume_exactly(tiny_config, rotation):
    straight = train(tiny_config(rotation=rotation), quiet=True)
    asked = "an angle" if "kind" in rotation else "8 classes"
    assert f"rotation, {asked}, " in (straight.folder / "train.log").read_text()
    half = {"iterations": 3}
    train(tiny_config(rotation=rotation, name="half", train=half), quiet=True)
    resumed = train(tiny_config(rotation=rotation, name="half"), resume=True, quiet=True)
    first, second = (load_checkpoint(result.last)["model"] for result in (straight, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_network_trained_from_labels_is_a_start_too(tiny_config):
    supervised = train(tiny_config(task="action", name="supervised"), quiet=True)
    tuned = train(
        tiny_config(task="action", name="tuned", init=str(supervised.last), model={"freeze": 5}),
        quiet=True,
    )
    before, after = (load_checkpoint(result.last)["model"] for result in (supervised, tuned))
    for name in before:
        assert torch.equal(before[name], after[name]) == (not name.startswith("fc.")), name
    log = (tuned.folder / "train.log").read_text()
    assert "(fastrot): " in log
    assert "not used: fc.bias, fc.weight" in log


def test_the_log_states_the_scaled_learning_rate(tiny_config):
    result = train(tiny_config(optim={"lr": 0.1, "lr_batch": 2}), quiet=True)
    assert (
        "learning rate 0.2 = optim.lr 0.1 x batch 4 / optim.lr_batch 2"
        in (result.folder / "train.log").read_text()
    )
    assert lines(result.folder)[0]["lr"] == pytest.approx(0.2)


def test_sync_bn_on_a_cpu_says_why_not(tiny_config):
    with pytest.raises(UsageError, match=r"train\.sync_bn is true, .* needs GPUs"):
        train(tiny_config(train={"sync_bn": True}), quiet=True)


def poison(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Make the weights infinite before a step, as a learning rate that is too high would."""
    advance = Trainer.advance

    def poisoned(self: Trainer, batches):
        if self.step + 1 == at:
            with torch.no_grad():
                self.network.fc[0].weight.fill_(math.inf)
        advance(self, batches)

    monkeypatch.setattr(Trainer, "advance", poisoned)


@pytest.mark.parametrize("log_every", [1, 6])
def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_good_checkpoint(
    tiny_config, monkeypatch, log_every
):
    config = tiny_config(train={"log_every": log_every, "checkpoint_every": 2})
    poison(monkeypatch, at=5)
    with pytest.raises(FastrotError, match=r"not finite at step 5: the last good.*last\.pt"):
        train(config, quiet=True)
    saved = load_checkpoint(Path(config.out) / config.name / "checkpoints" / "last.pt")
    assert saved["step"] == 4
    assert all(value.isfinite().all() for value in saved["model"].values())


def test_before_any_checkpoint_it_says_that_there_is_none(tiny_config, monkeypatch):
    poison(monkeypatch, at=2)
    with pytest.raises(FastrotError, match=r"not finite at step 2: there is no checkpoint yet"):
        train(tiny_config(), quiet=True)
