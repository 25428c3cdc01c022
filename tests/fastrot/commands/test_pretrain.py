import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from fastrot.cli import main
from fastrot.config import Config, to_yaml
from pipelines.store.reading import Store

TinyConfig = Callable[..., Config]


@pytest.fixture
def tiny_file(tiny_config: TinyConfig, tmp_path: Path) -> str:
    path = tmp_path / "tiny.yaml"
    path.write_text(to_yaml(tiny_config(train={"iterations": 2})))
    return str(path)


def test_the_resolved_config_is_printed_and_nothing_run(
    tiny_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # argparse alone would refuse a value behind an option
    assert main(["pretrain", tiny_file, "seed=5", "--print-config", "optim.lr=1e-2"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert (printed["seed"], printed["optim"]["lr"], printed["model"]["width"]) == (5, 0.01, 4)
    assert not (tmp_path / "runs").exists()


def test_the_runs_folder_is_printed_and_nothing_run(
    tiny_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pretrain", tiny_file, "out=/shared/my runs", "--print-folder", "name=a"]) == 0
    assert capsys.readouterr().out == "/shared/my runs/a\n"
    assert not (tmp_path / "runs").exists()


def test_from_pretext_to_accuracies(
    tiny_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = yaml.safe_load(Path(tiny_file).read_text())["data"]["store"]
    runs = tmp_path / "runs"
    pretext, action = (str(runs / name / "checkpoints" / "last.pt") for name in ("tiny", "action"))
    assert main(["pretrain", tiny_file, "--print-folder"]) == 0
    assert capsys.readouterr().out == f"{runs / 'tiny'}\n"
    assert main(["pretrain", tiny_file]) == 0
    assert main(["finetune", tiny_file, "task=action", "name=action", f"init={pretext}"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "rotation", pretext, "--store", store, "--split", "test1"]) == 0
    out = capsys.readouterr().out
    assert "rotation accuracy" in out
    assert "protocol: " in out
    written = runs / "tiny" / "evaluation" / "rotation-raw-test1-last" / "results.json"
    assert json.loads(written.read_text())["protocol"]["videos"] == 2
    assert main(["evaluate", "pretext", pretext, "--store", store, "--split", "test1"]) == 0
    assert "rotation accuracy" in capsys.readouterr().out  # of a rotation network the same
    for measure in ("rotation", "pretext"):
        assert main(["evaluate", measure, action, "--store", store, "--split", "test1"]) == 2
        assert "use `fastrot evaluate action`" in capsys.readouterr().err
    where = tmp_path / "here"
    arguments = ["--store", store, "--split", "test1", "--clips", "2", "--out", str(where)]
    assert main(["evaluate", "action", action, *arguments]) == 0
    out = capsys.readouterr().out
    assert "per clip   top-1" in out
    assert "per video  top-1" in out
    assert "2 uniform clips per video" in out
    assert "full fine-tuning" in out
    results = json.loads((where / "results.json").read_text())
    assert 0 <= results["video_top1"] <= results["video_top5"] == 1
    assert results["environment"]["packages"]["torch"]


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_stores_of_videos_train_by_the_same_commands(
    tiny_file: str, tmp_path: Path, make_store: Callable[..., Store], codec: str
) -> None:
    store = str(make_store(codec, size=128).path)
    more = [f"data.store={store}", "data.size=128", "data.modality=dif", "train.iterations=1"]
    more += ["data.eval_split=test1"]
    pretext, action = (tmp_path / f"runs/{name}/checkpoints/last.pt" for name in ("a", "b"))
    assert main(["pretrain", tiny_file, "name=a", *more]) == 0
    assert main(["finetune", tiny_file, "task=action", "name=b", f"init={pretext}", *more]) == 0
    where = tmp_path / "accuracies"
    arguments = ["--store", store, "--split", "test1", "--clips", "2", "--out", str(where)]
    assert main(["evaluate", "action", str(action), *arguments]) == 0
    assert json.loads((where / "results.json").read_text())["protocol"]["videos"] == 2


def test_own_lists_are_fine_tuned_on(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From lists of labels to an accuracy, by the config that comes for it."""
    names = sorted(path.relative_to(videos).as_posix() for path in videos.rglob("video*"))
    lines = [f"{name},{'high jump' if i % 3 else 'run'}\n" for i, name in enumerate(names)]
    train, val = tmp_path / "train.csv", tmp_path / "val.csv"
    train.write_text("path,label\n" + "".join(lines[:4]))
    val.write_text("".join(lines[4:]))
    store = str(tmp_path / "store")
    command = ["prepare", str(videos), "--out", store, "--codec", "raw", "--size", "40"]
    command += ["--layout", "list", "--list", str(train), "--list", str(val)]
    assert main(command) == 0
    small = ["model.depth=10", "model.width=4", "data.frames=4", "data.crop=32"]
    small += ["train.batch=2", "train.epochs=1", f"out={tmp_path / 'runs'}"]
    assert (
        main(["finetune", "finetune/own.yaml", f"data.store={store}", "init=scratch", *small]) == 0
    )
    out = capsys.readouterr().out
    assert "action, 2 classes, 4 videos" in out
    assert "split val, 2 videos" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pretrain", "FILE", "data.crpo=3"], "did you mean data.crop?"),
        (
            ["finetune", "FILE"],
            "task is rotation, but this command only trains task=action: use `fastrot pretrain`",
        ),
        (["pretrain", "FILE", "data.split=train7"], "has no split 'train7'"),
        (["pretrain", "FILE", "train.epochs=1"], "both are set"),
        (["pretrain", "FILE", "data.crop=99"], "data.crop is 99"),
    ],
)
def test_wrong_usage_exits_with_2_and_leaves_nothing(
    tiny_file: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    assert main([tiny_file if word == "FILE" else word for word in arguments]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
