"""Every command that prints figures prints them as JSON with ``--json``, and nothing else."""

import json
import shutil

import pytest
import yaml

from fastrot.cli import build_parser, main
from fastrot.config import load_config, to_mapping, to_yaml
from tests.fastrot.commands.test_help import programs

NO_FIGURES = {
    "fastrot configs",
    *("fastrot store merge", "fastrot store upgrade", "fastrot store remove"),
    *("fastrot store extract", "fastrot report", "fastrot bench report"),
}


@pytest.fixture
def value(capsys):
    """Return a function that runs a command with --json and returns what it prints."""

    def run(*words):
        capsys.readouterr()
        assert main([*map(str, words), "--json"]) == 0
        out, err = capsys.readouterr()
        assert out.count("\n") == 1
        return json.loads(out), err

    return run


@pytest.mark.parametrize("parser", programs(build_parser()), ids=lambda parser: parser.prog)
def test_every_command_that_prints_figures_has_the_flag(parser):
    flags = [each for each in parser._actions if "--json" in each.option_strings]
    if parser.prog in NO_FIGURES:
        assert flags == []
    else:
        (flag,) = flags
        assert flag.nargs == 0, "a flag, which takes no file"


def test_a_store(make_store, videos, tmp_path, value):
    store = make_store("raw").path
    assert value("store", "info", store)[0]["videos"] == 6
    listed, told = value("store", "ls", store, "--split", "test1")
    assert [video["splits"] for video in listed] == [["test1"], ["test1"]]
    assert all(video["name"] in told for video in listed)
    assert value("store", "verify", store)[0] == {"videos": 6, "damaged": {}}
    made, told = value("prepare", videos, "--out", tmp_path / "store", "--workers", "1")
    assert made["added"] == made["in_store"] == 6
    assert "stored       6 videos" in told


def test_from_training_to_features(tiny_config, tmp_path, value):
    config = tmp_path / "tiny.yaml"
    config.write_text(to_yaml(tiny_config(train={"iterations": 2})))
    store = yaml.safe_load(config.read_text())["data"]["store"]
    result, told = value("pretrain", config)
    assert result["steps"] == 2
    assert "step 2/2" in told
    splits = ["--store", store, "--split", "test1"]
    measured, told = value("evaluate", "rotation", result["last"], *splits)
    assert 0 <= measured["accuracy"] <= 1
    assert "rotation accuracy" in told
    found, _ = value("features", result["last"], *splits, "--out", tmp_path / "f.npz")
    assert (found["videos"], found["channels"]) == (2, 32)
    weights, told = value("weights", "export", result["last"], tmp_path / "w.pt")
    assert weights
    assert told


def test_the_config_and_the_folder_of_a_run(tiny_config, tmp_path, value):
    config = tmp_path / "tiny.yaml"
    config.write_text(to_yaml(tiny_config()))
    resolved, told = value("pretrain", config, "seed=5", "--print-config")
    assert resolved == to_mapping(load_config(config, ["seed=5"]))
    assert yaml.safe_load(told) == resolved
    folder, _ = value("pretrain", config, "out=a b", "--print-folder")
    assert folder == "a b/tiny"


def test_only_the_first_process_prints_the_value(tiny_config, tmp_path, monkeypatch, capsys):
    config = tmp_path / "tiny.yaml"
    config.write_text(to_yaml(tiny_config()))
    monkeypatch.setenv("RANK", "1")
    assert main(["pretrain", str(config), "--print-folder", "--json"]) == 0
    assert capsys.readouterr().out == ""


def test_a_result_with_exit_code_1_is_printed(make_store, tmp_path, capsys):
    store = tmp_path / "store"
    shutil.copytree(make_store("raw").path, store)
    with (store / "shards" / "00000.npy").open("r+b") as shard:
        shard.seek(200)
        shard.write(b"\x00\xff\x00\xff")
    assert main(["store", "verify", str(store), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["damaged"]


def test_the_plan_of_a_table(tmp_path, value):
    words = ["table2", "--preset", "demo", "--dry-run", "--rate", "1", "--out", tmp_path]
    runs, _ = value("reproduce", *words)
    assert len({run["run"] for run in runs}) == len(runs) == 22
