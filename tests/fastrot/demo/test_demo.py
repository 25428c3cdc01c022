"""The demo's line on a set small enough to run in seconds."""

import json
import re
import shlex
import statistics

import pytest

from fastrot.cli import main
from fastrot.demo import demo as demo_run
from fastrot.demo.demo import run_demo
from fastrot.demo.demo_tables import Transfer, spread, summary, transfer_grid
from fastrot.demo.videos import builtin_data, own_data
from fastrot.evaluation.action import ActionResult
from fastrot.evaluation.protocol import Protocol
from fastrot.synthetic.dataset import DemoSpec
from pipelines.errors import FastrotError
from pipelines.store.reading import Store
from tests.helpers import moving_frames, write_video

SMALL = {
    "pretrain": ["train.iterations=3", "train.epochs=null", "train.batch=4", "model.width=2"],
    "finetune": ["train.epochs=1", "train.batch=4", "model.width=2", "data.shots=1"],
}


@pytest.fixture
def any_number(monkeypatch):
    """Let a handful of videos be enough for tables."""
    monkeypatch.setattr(demo_run, "LEAST_TEST_VIDEOS", 1)
    monkeypatch.setattr(demo_run, "LEAST_STEPS", 1)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def data(out):
    spec = DemoSpec(unlabelled=6, groups=3, clips_per_group=1, frames=20, size=32)
    return builtin_data(out, spec)


def test_the_built_in_set_is_read_as_ucf101(data):
    store = Store.open(data.labelled)
    assert len(store.classes) == 12
    assert store.splits == {
        f"{kind}{k}": n for kind, n in (("train", 24), ("test", 12)) for k in (1, 2, 3)
    }
    assert len(Store.open(data.pool)) == 6
    assert data.has_actions


@pytest.mark.slow
def test_the_line_runs_and_prints_what_it_found(data, out, capsys, any_number):
    report = run_demo(data, out, seeds=(0, 1), overrides=SMALL)
    printed = capsys.readouterr().out
    assert len(report.transfer.scratch) == len(report.transfer.ours) == 2
    results = json.loads((out / "results.json").read_text())
    per_video = {
        row: [100 * result["video_top1"] for result in results["transfer"][row]]
        for row in ("scratch", "ours")
    }
    for row, label in (("scratch", "3D ResNet (scratch)"), ("ours", "3DRotNet (pre-trained")):
        (line,) = [line for line in printed.splitlines() if label in line]
        cells = re.findall(r"\d+\.\d \+- \d+\.\d", line)
        mean, deviation = statistics.fmean(per_video[row]), statistics.stdev(per_video[row])
        half = 12.7062 * deviation / 2**0.5  # Student's t with one degree of freedom
        assert cells[1] == f"{mean:.1f} +- {half:.1f}"
        train = statistics.fmean(results["transfer"][f"train_{row}"])
        assert line.split()[-2] == f"{train:.1f}"
        found = results["summary"][row]
        assert found["values"] == pytest.approx(per_video[row])
        assert found["degrees_of_freedom"] == 1
        assert found["interval"] == pytest.approx([mean - half, mean + half], abs=1e-3)
    (line,) = [line for line in printed.splitlines() if line.strip(" │|").startswith("difference")]
    gain = statistics.fmean(per_video["ours"]) - statistics.fmean(per_video["scratch"])
    assert f"{gain:+.1f} +-" in line
    accuracy = results["rotation"]["accuracy"]
    assert f"Rotation accuracy on 12 unseen videos: {100 * accuracy:.1f} %" in printed
    assert "layer4" in printed
    again = run_demo(data, out, seeds=(0, 1), overrides=SMALL)  # finds every run done
    assert again.rotation == report.rotation
    assert again.transfer == report.transfer
    assert again.probe == report.probe


def test_spread_by_hand():
    assert spread([50.0]) == "50.0"
    # t(1) = 12.706 times 20 / sqrt(2) / sqrt(2); t(2) = 4.303 times 2 / sqrt(3)
    assert spread([40.0, 60.0]) == "50.0 +- 127.1"
    assert spread([1.0, 3.0, -1.0], sign="+") == "+1.0 +- 5.0"


def test_the_transfers_values_are_pairs_by_seed():
    protocol = Protocol("store", "test1", 10, 1, 4, 1, "dif", 32, 40)
    scratch, ours = (
        [
            ActionResult(protocol=protocol, clip_top1=0, clip_top5=0, video_top1=each, video_top5=1)
            for each in values
        ]
        for values in ((0.2, 0.4, 0.6), (0.3, 0.52, 0.74))
    )
    transfer = Transfer(1, scratch, ours, [90.0, 80.0, 100.0], [97.0, 98.0, 99.0])
    assert transfer.values("video_top1")["difference"] == pytest.approx([10, 12, 14])
    grid = transfer_grid(transfer)
    assert grid.rows[-1][2] == "+12.0 +- 5.0"
    assert [row[3] for row in grid.rows] == ["90.0", "98.0", ""]
    assert "over 3 seeds, whose differences per video are +10.0, +12.0, +14.0" in grid.notes[0]
    difference = summary(transfer)["difference"]
    assert difference["values"] == pytest.approx([10, 12, 14])
    assert difference["standard_error"] == pytest.approx(2 / 3**0.5)


@pytest.fixture
def own(tmp_path):
    for label in ("run", "jump"):
        for i in range(4):
            write_video(tmp_path / "own" / label / f"{i}.avi", moving_frames(18, 48, 64, i))
    return tmp_path / "own"


def test_own_videos_without_splits_get_some(own, tmp_path, capsys, any_number):
    data = own_data(own, "folder", tmp_path / "out")
    store = Store.open(data.labelled)
    assert store.classes == ["jump", "run"]
    assert store.splits == {"test": 2, "train": 6}
    for split, each in (("test", 1), ("train", 3)):
        labels = store.labels[store.select(split)]
        assert sorted(labels.tolist()) == [0] * each + [1] * each
    report = run_demo(data, tmp_path / "out", seeds=(0,), overrides=SMALL)
    assert report.transfer.shots == 1
    assert "own: 30% of each class held out" in capsys.readouterr().out


def test_own_videos_with_splits_keep_them(own, tmp_path):
    source = tmp_path / "set"
    for split in ("train", "val"):
        for video in own.rglob("*.avi"):
            link = source / split / video.relative_to(own)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(video)
    data = own_data(source, "folder", tmp_path / "out")
    assert (data.train_split, data.test_split) == ("train", "val")


def test_own_videos_without_classes_stop_at_the_rotations(own, tmp_path, capsys, any_number):
    data = own_data(own / "run", "folder", tmp_path / "out")
    assert not data.has_actions
    report = run_demo(data, tmp_path / "out", seeds=(0,), overrides=SMALL)
    assert report.transfer is None
    assert "no transfer to measure" in capsys.readouterr().out


def test_of_too_few_videos_a_sentence_stands_for_the_tables(own, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = [word for each in SMALL["pretrain"] for word in ("--pretrain", each)]
    assert main(["demo", "--source", "own", "--out", "o u t", *options]) == 0
    printed = capsys.readouterr().out
    assert (
        "Too few videos to measure accuracies: 2 test videos (at least 20 are needed) and 3 steps"
        in printed
    )
    assert "+-" not in printed
    assert "accuracy on" not in printed
    results = json.loads((tmp_path / "o u t" / "results.json").read_text())
    assert results["rotation"] is None
    assert results["shortage"].startswith("Too few videos")
    # The printed commands are complete: they run unchanged.
    commands = [shlex.split(line) for line in printed.splitlines() if line.startswith("  fastrot ")]
    assert [words[1] for words in commands] == ["features", "report"]
    for words in commands:
        assert main(words[1:]) == 0
    assert (tmp_path / "o u t" / "features.npz").is_file()
    assert (tmp_path / "o u t" / "report.html").is_file()


@pytest.mark.parametrize("steps", [29, 30])
def test_few_steps_are_too_few_whatever_the_test_videos(own, tmp_path, monkeypatch, steps):
    monkeypatch.setattr(demo_run, "LEAST_TEST_VIDEOS", 1)
    data = own_data(own, "folder", tmp_path / "out")
    options = [*SMALL["pretrain"], f"train.iterations={steps}"]
    config = demo_run.pretrain_config(data, tmp_path / "out", options)
    assert (demo_run.too_few(data, config) is None) == (steps == 30)


def test_one_video_is_refused_with_what_is_needed(own, tmp_path):
    for source in (own / "run" / "0.avi", tmp_path / "single"):
        for label in ("run", "jump"):  # two classes of one video each
            link = tmp_path / "single" / label / "0.avi"
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(own / label / "0.avi")
        with pytest.raises(FastrotError, match="needs at least two readable videos") as caught:
            own_data(source, "folder", tmp_path / f"out-{source.name}")
        assert "split" not in str(caught.value)
        assert not (tmp_path / f"out-{source.name}" / "store").exists()


def test_videos_that_cannot_be_read_do_not_count(own, tmp_path, capsys):
    for video in sorted((own / "run").iterdir())[1:]:
        video.write_bytes(b"no video")
    with pytest.raises(FastrotError, match=r"(1 to train on, 0|0 to train on, 1) to test on"):
        own_data(own / "run", "folder", tmp_path / "out")
    assert capsys.readouterr().out.count("rejected: ") == 3
