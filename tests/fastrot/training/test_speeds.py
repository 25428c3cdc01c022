"""Training on rotation and playback speed, end to end on tiny networks."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fastrot.analysis.attention import attend
from fastrot.cli import main
from fastrot.config import Config, from_mapping
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.trained import load_trained
from fastrot.models.backbone import load_backbone
from fastrot.models.network import TwoHeads, pretext_network
from fastrot.rotation.op import rotate
from fastrot.rotation.sets import rotation_set
from fastrot.runs.checkpoint import load_checkpoint, save_checkpoint
from fastrot.training.run import train
from pipelines.loading.loader import Loader
from pipelines.plan import ClipSpec, TrainPlan
from pipelines.store.reading import Store
from tests.fastrot.conftest import tiny_values

TinyConfig = Callable[..., Config]
SPEEDS = {"speeds": [1, 4], "speed_weight": 0.5}
"""One of the four training videos, of 12 frames, is too short for the 13 of the faster clip."""


AUGMENTED = {
    "modality": "dif",
    "scale": [0.4, 1.0],
    "aspect": [0.75, 1.333],
    "grey": 0.5,
    "gain": 1.8,
    "polarity": True,
}


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def checkpoint(make_store: Callable[..., Store], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the last checkpoint of a run of two steps with speeds."""
    values = tiny_values(make_store(), tmp_path_factory.mktemp("runs"))
    values["train"]["iterations"] = 2
    return train(from_mapping({**values, "rotation": SPEEDS}), quiet=True).last


def test_it_computes_what_a_plain_loop_computes(tiny_config: TinyConfig) -> None:
    config = tiny_config(rotation=SPEEDS, optim={"schedule": "constant"}, train={"iterations": 3})
    result = train(config, quiet=True)
    store = Store.open(config.data.store)
    plan = TrainPlan(store, store.select("train1"), ClipSpec(4, 1, 32, speeds=(1, 4)), seed=0)
    torch.manual_seed(0)
    network = pretext_network(4, depth=10, width=4).to(memory_format=torch.channels_last_3d)
    network.fc = TwoHeads(network.fc, torch.nn.Linear(32, 2))
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.05, momentum=0.9, weight_decay=config.optim.weight_decay
    )
    mean, std = config.data.statistics
    losses, rights, speeds = [], [], []
    with Loader(
        store, plan, [(4 * step, 4) for step in range(3)], batch=4, device=torch.device("cpu")
    ) as loader:
        for loaded in loader:
            inputs = rotate(
                loaded.clips,
                rotation_set([0, 90, 180, 270]),
                mean=mean,
                std=std,
                dtype=torch.float32,
            )
            outputs = network(inputs)
            assert loaded.speeds is not None
            asked = torch.from_numpy(np.tile(loaded.speeds, 4))
            has = asked >= 0
            loss = F.cross_entropy(outputs[:, :4], torch.arange(4).repeat_interleave(4))
            loss = loss + 0.5 * F.cross_entropy(outputs[has, 4:], asked[has]) * has.float().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            rights.append((outputs[has, 4:].argmax(dim=1) == asked[has]).float().mean().item())
            speeds += loaded.speeds.tolist()
    assert set(speeds) == {-1, 0, 1}
    assert [line["loss"] for line in lines(result.folder)] == pytest.approx(losses, rel=1e-5)
    assert [line["speed_accuracy"] for line in lines(result.folder)] == pytest.approx(rights)
    log = (result.folder / "train.log").read_text()
    assert "rotation, 4 rotations and the speeds 1, 4, 4 videos of" in log
    assert "1 of 4 videos are shorter than the 13 frames of a clip at the fastest" in log
    assert f"%  speed accuracy {100 * rights[-1]:.1f} %  lr" in log


def test_resuming_with_all_options_is_bit_exact(tiny_config: TinyConfig) -> None:
    straight = tiny_config(
        name="straight",
        data=AUGMENTED,
        rotation=SPEEDS,
        train={"accumulate": 2, "log_every": 2},
    )
    result = train(straight, quiet=True)
    # The stop after three steps cuts a window of the log in two.
    parts = replace(straight, name="parts")
    train(replace(parts, train=replace(parts.train, iterations=3)), quiet=True)
    resumed = train(parts, resume=True, quiet=True)
    first, second = (load_checkpoint(each.last) for each in (result, resumed))
    assert all(torch.equal(first["model"][name], second["model"][name]) for name in first["model"])
    for name, state in first["optimizer"]["state"].items():
        other = second["optimizer"]["state"][name]
        assert torch.equal(state["momentum_buffer"], other["momentum_buffer"])
    keys = ("step", "loss", "accuracy", "speed_accuracy")
    whole, cut = (
        {line["step"]: [line.get(key) for key in keys] for line in lines(each.folder)}
        for each in (result, resumed)
    )
    assert [whole[step] for step in (2, 6)] == [cut[step] for step in (2, 6)]


def test_a_checkpoint_from_before_the_option_resumes(tiny_config: TinyConfig) -> None:
    config = tiny_config(train={"iterations": 2})
    result = train(config, quiet=True)
    values = load_checkpoint(result.last)
    del values["format"], values["config"]["rotation"]["speeds"]
    del values["config"]["rotation"]["speed_weight"]
    save_checkpoint(result.last, values)
    longer = replace(config, train=replace(config.train, iterations=3))
    assert train(longer, resume=True, quiet=True).steps == 3


def test_off_it_leaves_no_trace(pretext_checkpoint: Path) -> None:
    values = load_checkpoint(pretext_checkpoint)
    assert [name for name in values["model"] if name.startswith("fc.")] == [
        *("fc.0.weight", "fc.0.bias", "fc.2.weight", "fc.2.bias")
    ]
    assert values["totals"].shape == (1, 4)
    assert not any("speed" in key for line in lines(pretext_checkpoint.parents[1]) for key in line)


def test_the_accuracies_are_evaluated_during_training(tiny_config: TinyConfig) -> None:
    config = tiny_config(
        rotation=SPEEDS, data={"eval_split": "test1"}, train={"iterations": 2, "eval_every": 2}
    )
    result = train(config, quiet=True)
    (line,) = [line for line in lines(result.folder) if "evaluation" in line]
    assert line["evaluation"]["speeds"] == [1, 4]
    assert line["eval_accuracy"] == line["evaluation"]["accuracy"] == result.best_accuracy
    assert 0 <= line["evaluation"]["speed_accuracy"] <= 1
    assert "speed accuracy" in (result.folder / "train.log").read_text()


def test_transfer_and_exports_drop_both_heads(
    tiny_config: TinyConfig, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    still = {"lr": 1e-30, "weight_decay": 0.0}
    tuned = train(
        tiny_config(name="tuned", task="action", init=str(checkpoint), optim=still), quiet=True
    )
    before, after = (load_checkpoint(path)["model"] for path in (checkpoint, tuned.last))
    assert {name for name in before if name.startswith("fc.speed.")} == {
        *("fc.speed.weight", "fc.speed.bias")
    }
    backbone = [name for name in before if not name.startswith("fc.")]
    assert list(after) == [*backbone, "fc.weight", "fc.bias"]
    assert torch.equal(before["layer4.0.conv1.weight"], after["layer4.0.conv1.weight"])

    out = tmp_path / "backbone.pt"
    assert main(["weights", "export", str(checkpoint), str(out)]) == 0
    assert "fc.rotation.2.weight, fc.speed.bias, fc.speed.weight" in capsys.readouterr().out
    assert list(torch.load(out, weights_only=True)["state_dict"]) == backbone
    loaded = load_backbone(out).state_dict()
    assert all(torch.equal(loaded[name], before[name]) for name in backbone)


def test_its_measures_and_maps_work_and_say_what_it_was_trained_on(
    tiny_config: TinyConfig,
    checkpoint: Path,
    runtime: Runtime,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = tiny_config().data.store
    says = "frozen features of a network for 4 rotations and the speeds 1, 4"
    clips = ["--store", store, "--clips", "1"]
    splits = ["--train-split", "train1", "--test-split", "test1"]
    for measure in ("probe", "retrieval"):
        command = ["evaluate", measure, str(checkpoint), *clips, *splits, "--out", str(tmp_path)]
        assert main(command) == 0
        assert says in capsys.readouterr().out
    out = tmp_path / "features.npz"
    assert main(["features", str(checkpoint), *clips, "--out", str(out)]) == 0
    assert says in capsys.readouterr().out
    assert np.load(out)["features"].shape == (6, 32)
    opened = Store.open(store)
    (views,) = attend(
        [load_trained(checkpoint, runtime)], opened, opened.select("all")[:1], runtime, count=1
    )
    assert [view.degrees for view in views] == [0, 90, 180, 270]


def test_the_command_reports_both_accuracies(
    tiny_config: TinyConfig, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "rotation", str(checkpoint), "--store", tiny_config().data.store]
    assert main([*command, "--split", "all", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "\nrotation accuracy " in printed
    assert "\nspeed accuracy " in printed
    results = json.loads((tmp_path / "results.json").read_text())
    assert (results["speeds"], results["protocol"]["speeds"]) == ([1, 4], [1, 4])
    assert np.sum(results["speed_confusion"]) == 5 * 2 * 4  # without the video of 12 frames
    assert (tmp_path / "confusion.csv").read_text().startswith("true / found,0,90,180,270")
