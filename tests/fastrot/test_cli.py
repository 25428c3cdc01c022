"""The command line as people use it: exit codes, messages, output."""

import json
import re
from pathlib import Path

import pytest

from fastrot import cli
from fastrot.api import prepare_videos
from fastrot.cli import main
from fastrot.config import load_config
from fastrot.config.builtin import find_config
from fastrot.demo.videos import own_data
from pipelines.store.reading import Store
from tests.helpers import moving_frames, write_video
from tests.pipelines.store.old_formats import of_format


@pytest.fixture
def films(tmp_path):
    root = tmp_path / "films"
    for i in range(3):
        write_video(root / f"film {i}.avi", moving_frames(10, 48, 64, i))
    (root / "README.md").write_text("no video")
    return root


def test_prepare_info_ls_verify_and_extract(films, tmp_path, capsys):
    store = tmp_path / "store"
    cut = (films / "film 0.avi").read_bytes()
    (films / "cut.avi").write_bytes(cut[: len(cut) // 2])
    command = ["prepare", str(films), "--out", str(store), "--size", "40", "--frames", "6"]
    assert main([*command, "--workers", "1"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^rejected +1: the file is truncated.* \(cut.avi\)$", out, re.MULTILINE)
    assert "found        4 videos: 0 already stored, 3 added, 1 rejected, 0 rejected earlier" in out
    assert f"stored       3 videos in {store}\n" in out
    assert "ignored      .md files: 1 (README.md)" in out
    assert main(["store", "info", str(store), "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert (info["videos"], info["rejected"], info["frames"]) == (3, 1, 18)
    assert info["bytes"] == sum(path.stat().st_size for path in store.glob("shards/*.mjpeg"))
    assert (info["codec"], info["size"], info["frames_per_video"]) == ("mjpeg", 40, 6)
    assert main(["store", "info", str(store)]) == 0
    assert "videos    3" in capsys.readouterr().out
    assert main(["store", "ls", str(store)]) == 0
    assert [line.split(None, 4)[-1] for line in capsys.readouterr().out.splitlines()] == [
        "film 0.avi",
        "film 1.avi",
        "film 2.avi",
    ]
    assert main(["store", "verify", str(store)]) == 0
    assert main(["store", "extract", str(store), "film 1.avi", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "film 1.avi").exists()


def test_a_store_is_upgraded_once(films, tmp_path, capsys):
    store = tmp_path / "store"
    command = ["prepare", str(films), "--out", str(store), "--size", "64", "--codec", "h264"]
    assert main(command) == 0
    of_format(Store.open(store), 2)
    capsys.readouterr()
    assert main(["store", "upgrade", str(store)]) == 0
    assert f"{store} has format 3: upgraded from format 2\n" in capsys.readouterr().out
    assert main(["store", "upgrade", str(store)]) == 0
    assert capsys.readouterr().out == f"{store} has format 3: nothing to do\n"
    assert main(["store", "verify", str(store)]) == 0
    assert main(command) == 0  # and can be appended to
    assert main(["store", "extract", str(store), "film 1.avi", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "film 1.mp4").exists()


def test_a_second_prepare_has_nothing_to_do(films, tmp_path, capsys):
    command = ["prepare", str(films), "--out", str(tmp_path / "store"), "--size", "40"]
    assert main(command) == 0
    capsys.readouterr()
    assert main(command) == 0
    assert "3 videos: 3 already stored, 0 added, 0 rejected" in capsys.readouterr().out


def test_verify_exits_with_1_until_fixed(films, tmp_path, capsys):
    store = tmp_path / "store"
    assert main(["prepare", str(films), "--out", str(store), "--size", "40", "--codec", "raw"]) == 0
    with (store / "shards" / "00000.npy").open("r+b") as shard:
        shard.seek(200)
        shard.write(b"\x00\xff\x00\xff")
    assert main(["store", "verify", str(store)]) == 1
    assert main(["store", "verify", str(store), "--fix"]) == 0
    assert main(["store", "verify", str(store)]) == 0
    assert "0 of 2 videos are damaged" in capsys.readouterr().out


def test_a_clash_exits_with_2_and_prefix_or_replace_are_the_ways_out(films, tmp_path, capsys):
    store, other = tmp_path / "store", tmp_path / "other"
    command = ["--out", str(store), "--size", "40", "--frames", "2", "--workers", "1"]
    assert main(["prepare", str(films), *command]) == 0
    write_video(other / "film 0.avi", moving_frames(10, 48, 64, 8))
    capsys.readouterr()
    assert main(["prepare", str(other), *command]) == 2
    assert "--prefix NAME" in capsys.readouterr().err
    assert main(["prepare", str(other), *command, "--prefix", "other"]) == 0
    assert "4 videos in" in capsys.readouterr().out
    assert main(["prepare", str(other), *command, "--replace"]) == 0
    out = capsys.readouterr().out
    assert "replaced     1 video (film 0.avi)" in out
    assert "absent       1 video (other/film 0.avi)" in out  # only its name with the prefix is gone


def test_removed_videos_are_not_prepared_again(films, tmp_path, capsys):
    store = str(tmp_path / "store")
    command = ["prepare", str(films), "--out", store, "--size", "40", "--workers", "1"]
    assert main(command) == 0
    assert main(["store", "remove", store, "film 0.avi", "film 7.avi"]) == 2
    assert main(["store", "verify", store]) == 0
    assert "0 of 3 videos are damaged" in capsys.readouterr().out
    assert main(["store", "remove", store, "film 0.avi", "film 2.avi"]) == 0
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "3 videos: 1 already stored, 0 added, 0 rejected, 2 rejected earlier" in out
    assert "stored       1 video in" in out
    assert main([*command, "--retry-rejected"]) == 0
    assert "3 videos in" in capsys.readouterr().out


def test_verify_drops_nothing_where_a_shard_cannot_be_opened(films, tmp_path, capsys):
    store = tmp_path / "store"
    assert main(["prepare", str(films), "--out", str(store), "--size", "40", "--frames", "2"]) == 0
    (shard,) = store.glob("shards/*.mjpeg")
    shard.rename(tmp_path / "away")
    assert main(["store", "verify", str(store), "--fix"]) == 1
    assert "No such file or directory. " in capsys.readouterr().err
    (tmp_path / "away").rename(shard)
    assert main(["store", "verify", str(store)]) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["prepare", "nowhere", "--out", "store"], 1, "nowhere does not exist"),
        (["prepare", ".", "--out", "store"], 1, ". contains no videos"),
        (["prepare", ".", "--out", "s", "--codec", "vp9", "--size", "64"], 2, "from 128 pixels"),
        (["prepare", ".", "--out", "s", "--quality", "99"], 2, "--quality is 99"),
        (["store", "info", "nowhere"], 1, "nowhere is not a store (no such folder)"),
        (["store", "info", "."], 1, "is not a store: create one with `fastrot prepare"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    arguments, code, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("fastrot: error: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["prepare", "."],
        ["prepare", ".", "--out", "s", "--frames", "0"],
        ["features", "c.pt", "--store", "s", "--out", "f.npz", "--clips", "0"],
        ["demo", "--seeds", "0"],
        ["prepare", ".", "--out", "s", "--frames", "some"],
        ["prepare", ".", "--out", "s", "--shard", "3/2"],
        ["prepare", ".", "--out", "s", "--shard", "0/2"],
        ["prepare", ".", "--out", "s", "--layout", "imagenet"],
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["reproduce", "tabel3", "--preset", "demo"], "table3"),
        (["pretain", "c.yaml"], "pretrain"),
        (["prepare", ".", "--out", "s", "--layout", "ufc101"], "ucf101"),
        (["evaluate", "rotations", "c.pt"], "rotation"),
    ],
)
def test_a_near_name_is_offered_for_a_wrong_one(arguments, near, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert f"; did you mean '{near}'?" in capsys.readouterr().err


def test_the_built_in_configs_are_listed_with_their_first_line(capsys, monkeypatch, tmp_path):
    assert main(["configs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(list(Path("configs").glob("*/*.yaml")))
    monkeypatch.chdir(tmp_path)
    for line in lines:
        name, about = line.split(maxsplit=1)
        load_config(name)
        assert about.endswith(".")  # a whole sentence
        assert find_config(name).read_text().startswith(f"# {about}\n")


def test_own_labels_come_in_by_lists(films, tmp_path, capsys):
    lists = tmp_path / "train.csv", tmp_path / "val.csv"
    lists[0].write_text("path,label\nfilm 0.avi,run\nfilm 1.avi,high jump\ngone.avi,run\n")
    lists[1].write_text("film 2.avi run\n")
    store = tmp_path / "store"
    command = ["prepare", str(films), "--out", str(store), "--size", "40", "--codec", "raw"]
    command += ["--layout", "list", "--list", str(lists[0]), "--list", str(lists[1])]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "classes      2 (high jump, run)" in out
    assert "splits       train 2, val 1" in out
    assert "not on disk  1 listed video (gone.avi)" in out
    assert (store / "missing.txt").read_text() == "gone.avi\n"
    made = Store.open(store)
    assert (made.classes, made.splits) == (["high jump", "run"], {"train": 2, "val": 1})
    lists[0].write_text("film 0.avi,run\nfilm 1.avi,high jump\n")
    assert main(command) == 0
    assert not (store / "missing.txt").exists()
    assert main([*command, "--layout", "folder"]) == 2
    assert "--list needs --layout list" in capsys.readouterr().err


def test_warnings_come_before_decoding_and_again_at_the_end(films, tmp_path, capsys):
    (films / "run").mkdir()
    (films / "film 0.avi").rename(films / "run" / "1.avi")
    assert main(["prepare", str(films), "--out", str(tmp_path / "store"), "--size", "40"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(
        "warning: no classes were found, because 2 videos (film 1.avi, film 2.avi)"
    )
    assert lines[-1].startswith("warning      no classes were found, because 2 videos")


def test_lists_reach_the_demo_and_notebooks(films, tmp_path):
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("film 0.avi run\nfilm 1.avi jump\n")
    test.write_text("film 2.avi run\n")
    data = own_data(films, "list", tmp_path / "demo", [train, test])
    assert (data.train_split, data.test_split, data.has_actions) == ("train", "test", True)
    store = prepare_videos(
        films, tmp_path / "store", layout="list", lists=[train, str(test)], codec="raw", size=40
    )
    assert (store.classes, store.splits) == (["jump", "run"], {"test": 1, "train": 2})


@pytest.mark.parametrize(("rank", "times"), [(None, 1), ("0", 1), ("1", 0), ("31", 0)])
def test_wrong_usage_is_printed_by_rank_0_alone(rank, times, monkeypatch, tmp_path, capsys):
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
        monkeypatch.setattr(cli, "_FOR_RANK_0_S", 0.0)
    assert main(["prepare", ".", "--out", str(tmp_path / "s"), "--quality", "99"]) == 2
    assert capsys.readouterr().err.count("fastrot: error: --quality is 99") == times
    with pytest.raises(SystemExit, match="2"):
        main(["prepare", ".", "--nonsense"])
    assert capsys.readouterr().err.count("usage: fastrot") == times


def test_other_errors_are_each_ranks_own(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("RANK", "3")
    assert main(["store", "info", str(tmp_path / "nowhere")]) == 1
    assert "is not a store" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["pretrain", "finetune", "evaluate", "features"])
def test_tasks_of_srun_that_do_not_know_of_each_other_are_refused(
    command, monkeypatch, tmp_path, capsys
):
    arguments = {
        "pretrain": ["configs/pretrain/kinetics_rgb_16.yaml", "data.store=nowhere"],
        "finetune": ["configs/finetune/ucf101_rgb_16.yaml", "data.store=nowhere", "init=scratch"],
        "evaluate": ["rotation", "last.pt", "--store", "nowhere", "--split", "all"],
        "features": ["last.pt", "--store", "nowhere", "--out", "f.npz"],
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    assert main([command, *arguments[command]]) == 2
    assert "let srun start torchrun with one task per node" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    # A batch shell, salloc, or one task: it gets as far as the store that is not there.
    for tasks in ("1", None):
        if tasks is None:
            monkeypatch.delenv("SLURM_STEP_NUM_TASKS")
        else:
            monkeypatch.setenv("SLURM_STEP_NUM_TASKS", tasks)
        assert main([command, *arguments[command]]) == 1
        assert "nowhere is not a store" in capsys.readouterr().err


def test_tasks_of_srun_with_shares_run_as_before(films, monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    command = ["prepare", str(films), "--out", str(tmp_path / "store"), "--size", "40"]
    assert main([*command, "--shard", "1/2", "--workers", "1"]) == 0
