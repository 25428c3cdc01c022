"""Recipes in the demo, on videos of one's own."""

import json

import pytest

from fastrot.config import Config
from fastrot.config.recipes import RECIPES
from fastrot.demo import demo as demo_run
from fastrot.demo.compare_recipes import compare_recipes, grid
from fastrot.demo.videos import own_data
from fastrot.evaluation.probe import ProbeResult
from fastrot.evaluation.protocol import Protocol
from fastrot.evaluation.rotation_accuracy import RotationResult
from pipelines.errors import FastrotError
from pipelines.store.reading import Store
from tests.helpers import moving_frames, write_video

SMALL = ["train.iterations=2", "train.epochs=null", "train.batch=2", "model.width=2"]


def videos(folder, frames):
    for label in ("run", "jump"):
        for i in range(3):
            write_video(folder / label / f"{i}.avi", moving_frames(frames, 32, 40, i))
    return folder


@pytest.fixture
def any_number(monkeypatch, one_thread):
    """Let a handful of videos be enough for tables."""
    monkeypatch.setattr(demo_run, "LEAST_TEST_VIDEOS", 1)
    monkeypatch.setattr(demo_run, "LEAST_STEPS", 1)


@pytest.fixture
def short(tmp_path):
    return own_data(videos(tmp_path / "own", 20), "folder", tmp_path / "out")


def test_a_recipe_changes_its_own_run_only(short, tmp_path):
    out = tmp_path / "out"
    configs = {
        recipe: demo_run.pretrain_config(short, out, ["optim.lr=0.2"], recipe) for recipe in RECIPES
    }
    assert [config.name for config in configs.values()] == [
        "pretrain",
        "pretrain-augmented",
        "pretrain-speed",
        "pretrain-both",
    ]
    for recipe, config in configs.items():
        assert config.optim.lr == 0.2
        assert (config.data.scale is not None) == (recipe in ("augmented", "both"))
        assert config.data.polarity == (recipe in ("augmented", "both"))
        assert config.rotation.speeds == ([1, 2, 3] if recipe in ("speed", "both") else [])
    off = Config()
    assert configs["paper"].rotation == off.rotation
    assert (configs["paper"].data.grey, configs["paper"].data.gain) == (0, 1)
    rgb = demo_run.pretrain_config(short, out, ["data.modality=rgb"], "augmented")
    assert not rgb.data.polarity
    assert rgb.data.grey == 0.5


def test_scratch_has_the_recipe_of_the_transfer(short, tmp_path):
    def config(init, recipe):
        name = f"finetune-{init}-0"
        return demo_run._finetune_config(short, tmp_path, name, init, 0, [], recipe)

    assert config("scratch", "augmented").data == config("x.pt", "augmented").data
    assert config("scratch", "augmented").data.gain == 1.8
    assert config("scratch", "speed").data == config("scratch", "paper").data
    assert config("x.pt", "both").rotation.speeds == []


def test_without_long_videos_recipes_with_speeds_are_skipped(short, tmp_path, capsys, any_number):
    found = compare_recipes(short, tmp_path / "out", SMALL)
    assert list(found) == ["paper", "augmented"]
    printed = capsys.readouterr().out
    assert "speed: skipped, because no video has the 49 frames" in printed
    results = json.loads((tmp_path / "out" / "recipes.json").read_text())
    assert list(results["recipes"]) == ["paper", "augmented"]
    for recipe, (_, probe) in found.items():
        assert results["recipes"][recipe]["probe"]["trained"] == probe.trained
    assert found["paper"][1].random == found["augmented"][1].random  # one column for all


@pytest.mark.slow
def test_long_videos_are_probed_after_every_recipe(tmp_path, capsys, any_number):
    data = own_data(videos(tmp_path / "own", 52), "folder", tmp_path / "out")
    found = compare_recipes(data, tmp_path / "out", SMALL)
    assert list(found) == list(RECIPES)
    assert len({tuple(probe.random) for _, probe in found.values()}) == 1
    assert "speed accuracy" in capsys.readouterr().out


def test_of_too_few_videos_nothing_is_compared(short, tmp_path, capsys):
    assert compare_recipes(short, tmp_path / "out", SMALL) == {}
    assert "Too few videos to measure accuracies" in capsys.readouterr().out
    assert not (tmp_path / "out" / "runs").exists()


def test_videos_without_classes_are_refused(tmp_path):
    data = own_data(videos(tmp_path / "own", 20) / "run", "folder", tmp_path / "out")
    assert Store.open(data.labelled).classes == []
    with pytest.raises(FastrotError, match="have no classes, so features cannot be probed"):
        compare_recipes(data, tmp_path / "out", SMALL)


def test_the_table_by_hand():
    protocol = Protocol("store", "test", 26, 1, 4, 1, "dif", 32, 40)

    def found(trained):
        probe = ProbeResult(
            protocol=protocol,
            blocks=["conv1"],
            trained=[trained],
            random=[0.2],
            difference_standard_error=[0.05],
            train_videos=10,
        )
        rotation = RotationResult(
            protocol=protocol,
            degrees=[0, 90],
            accuracy=0.5,
            accuracy_standard_error=0.1,
            axis_accuracy=None,
            axis_standard_error=None,
            per_class=[0.5, 0.5],
            confusion=[[1, 1], [1, 1]],
            clips=4,
        )
        return rotation, probe

    table = grid({"paper": found(0.25), "augmented": found(0.5)})
    # t(25) = 2.060 times 5 points
    assert table.rows[0] == ["conv1", "20.0", "25.0 (+5.0 +- 10.3~)", "50.0 (+30.0 +- 10.3)"]
    assert table.header == ["features of", "random network", "paper", "augmented"]
