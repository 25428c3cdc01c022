"""``fastrot evaluate`` as people use it: files, printed lines, exit codes."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from fastrot.cli import main
from fastrot.config import Config
from fastrot.evaluation.scores import Scores
from fastrot.training.run import train
from tests.processes import fastrot_in_two

TinyConfig = Callable[..., Config]


def results_in(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return values


@pytest.fixture
def network(tiny_config: TinyConfig) -> Callable[..., tuple[str, str]]:
    """Return a function that trains a tiny network and gives its checkpoint and its store."""

    def make(**changes: Any) -> tuple[str, str]:
        config = tiny_config(train={"iterations": 2}, **changes)
        return str(train(config, quiet=True).last), config.data.store

    return make


def test_rotations_of_all_videos_of_a_store(
    network: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    checkpoint, store = network()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    out = tmp_path / "out"
    command = ["evaluate", "rotation", checkpoint, "--store", store, "--split", "all"]
    assert main([*command, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    results = results_in(out)
    assert (results["clips"], results["protocol"]["videos"]) == (6, 6)
    assert results["checkpoint"] == checkpoint
    table = list(csv.reader((out / "confusion.csv").open()))
    assert table[0][1:] == ["0", "90", "180", "270"]
    assert [[int(cell) for cell in row[1:]] for row in table[1:]] == results["confusion"]
    assert f"written to {out}: results.json, confusion.csv\n" in printed
    assert "no confusion.png: figures need matplotlib" in printed


def test_paths_are_named_before_a_missing_split(
    network: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, store = network()
    missing = str(tmp_path / "none.pt")
    for path, folder, code, message in (
        (missing, store, 1, "none.pt does not exist"),
        (checkpoint, str(tmp_path), 1, "is not a store"),
        (
            checkpoint,
            store,
            2,
            f"--split is missing: choose one of the splits of {store}: all, test1",
        ),
    ):
        assert main(["evaluate", "rotation", path, "--store", folder]) == code
        assert message in capsys.readouterr().err
    assert main(["evaluate", "probe", checkpoint, "--store", store, "--test-split", "all"]) == 2
    assert "--train-split is missing" in capsys.readouterr().err


def test_a_runs_folder_is_evaluated_as_its_last_checkpoint(network: Any, tmp_path: Path) -> None:
    checkpoint, store = network()
    run = Path(checkpoint).parents[1]
    assert main(["evaluate", "rotation", str(run), "--store", store, "--split", "test1"]) == 0
    assert results_in(run / "evaluation" / "rotation-raw-test1-last")["checkpoint"] == checkpoint


def test_actions_leave_scores_that_are_fused_twice(
    network: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    for name, modality in (("rgb", "rgb"), ("dif", "dif")):
        checkpoint, store = network(task="action", name=name, data={"modality": modality})
        assert main(
            ["evaluate", "action", checkpoint, "--store", store, "--split", "all", "--clips", "2"]
        ) == 0  # fmt: skip
    runs = tmp_path / "runs"
    scores = {}
    for name in ("rgb", "dif"):
        folder = runs / name / "evaluation" / "action-raw-all-last"
        scores[name] = Scores.load(folder / "scores.npz")
        found = scores[name].softmax.argmax(axis=1)
        accuracy = accuracy_score(scores[name].labels, found)
        assert results_in(folder)["video_top1"] == pytest.approx(accuracy)
        rows = list(csv.DictReader((folder / "per_class.csv").open()))
        assert [row["class"] for row in rows] == ["class0", "class1"]
        assert [row["videos"] for row in rows] == ["3", "3"]
        assert np.mean([float(row["top1"]) for row in rows]) == pytest.approx(accuracy, abs=1e-5)
        assert (folder / "confusion.csv").exists()

    capsys.readouterr()
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "fuse", str(runs / "rgb"), str(runs / "dif")]) == 0
    printed = capsys.readouterr().out
    fusion = Path("runs/fusion/rgb-action-raw-all-last+dif-action-raw-all-last")
    results = results_in(fusion)
    product = scores["rgb"].softmax * scores["dif"].softmax  # has the mean's order
    accuracy = accuracy_score(scores["rgb"].labels, product.argmax(axis=1))
    assert results["video_top1"] == pytest.approx(accuracy)
    assert f"fusion  top-1 {100 * accuracy:.2f} %" in printed
    assert "RGB frames" in results["inputs"][0]["protocol"]
    assert "DIF frames" in results["inputs"][1]["protocol"]
    out = tmp_path / "third"
    assert main(["evaluate", "fuse", str(fusion), str(runs / "rgb"), "--out", str(out)]) == 0
    assert Scores.load(out / "scores.npz").names == scores["rgb"].names


def test_probe_and_retrieval_stand_beside_the_random_network(
    network: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, store = network()
    splits = ["--store", store, "--train-split", "train1", "--test-split", "test1", "--clips", "2"]
    assert main(["evaluate", "probe", checkpoint, *splits, "--shots", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("random") == 5
    assert "linear probe on 2 videos, tested on" in printed
    evaluation = tmp_path / "runs" / "tiny" / "evaluation"
    results = results_in(evaluation / "probe-raw-train1-test1-1-shots-last")
    assert len(results["trained"]) == len(results["random"]) == 5
    assert (results["train_split"], results["shots"], results["train_videos"]) == ("train1", 1, 2)
    assert results["protocol"]["clips_per_video"] == 2

    neighbours = ["--k", "1", "4", "--block", "layer3"]
    assert main(["evaluate", "retrieval", checkpoint, *splits, *neighbours]) == 0
    assert "hit at 4    100.0 %  random 100.0 %" in capsys.readouterr().out
    results = results_in(evaluation / "retrieval-raw-train1-test1-layer3-last")
    assert (results["k"], results["block"]) == ([1, 4], "layer3")
    assert results["trained"][1] == results["random"][1] == 1.0
    assert results["protocol"]["split"] == "test1"


def test_errors_exit_with_a_code_and_a_line(
    network: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, store = network()
    splits = ["--store", store, "--train-split", "train1", "--test-split", "test1"]
    file = tmp_path / "file"
    file.write_text("")
    split = ["--store", store, "--split", "all", "--out", str(file / "out")]
    for arguments, code, says in (
        (["fuse", "nowhere.npz", "nowhere.npz"], 1, "nowhere.npz is not a readable score file"),
        (["fuse", str(tmp_path / "runs" / "tiny"), "b.npz"], 1, "contains no scores.npz"),
        (["retrieval", checkpoint, *splits, "--block", "conv9"], 2, "unknown block 'conv9'"),
        (["probe", checkpoint, *splits, "--shots", "9"], 2, "9"),
        (["rotation", checkpoint, *split], 1, "cannot be written"),
    ):
        assert main(["evaluate", *arguments]) == code
        assert says in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="compares CPU processes")
def test_two_processes_retrieve_what_one_does(network: Any, tmp_path: Path) -> None:
    checkpoint, store = network()
    arguments = ["evaluate", "retrieval", checkpoint, "--store", store, "--train-split", "train1"]
    # The shares end in the middle of a video.
    arguments += ["--test-split", "test1", "--clips", "3", "--batch", "2", "--k", "1", "2", "--out"]
    printed = fastrot_in_two(*arguments, str(tmp_path / "two"), folder=tmp_path)
    assert printed.count("written to") == 1
    assert main([*arguments, str(tmp_path / "one")]) == 0
    one, two = results_in(tmp_path / "one"), results_in(tmp_path / "two")
    for key in ("trained", "random", "chance", "k", "protocol", "train_videos"):
        assert one[key] == two[key]


@pytest.mark.skipif(torch.cuda.is_available(), reason="compares CPU processes")
def test_two_processes_scramble_as_one_does(
    network: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, store = network()
    arguments = ["evaluate", "rotation", checkpoint, "--store", store, "--split", "all"]
    arguments += ["--clips", "3", "--batch", "2", "--scramble"]
    # The share of the first process ends in the middle of a batch of the only one.
    fastrot_in_two(*arguments, "phase", "--out", str(tmp_path / "two"), folder=tmp_path)
    assert main([*arguments, "phase"]) == 0
    assert "spectrum alone" in capsys.readouterr().out
    evaluation = tmp_path / "runs" / "tiny" / "evaluation"
    one, two = results_in(evaluation / "rotation-raw-all-phase-last"), results_in(tmp_path / "two")
    assert one["protocol"]["scramble"] == "phase"
    for key in ("accuracy", "confusion", "clips", "protocol"):
        assert one[key] == two[key]

    assert main([*arguments, "lowpass:0.5"]) == 0
    found = results_in(evaluation / "rotation-raw-all-lowpass-0.5-last")
    assert found["protocol"]["scramble"] == "lowpass:0.5"
    with pytest.raises(SystemExit):
        main([*arguments, "lowpass:-1"])
    assert "choose phase, lowpass" in capsys.readouterr().err
