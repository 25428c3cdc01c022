import json
from pathlib import Path

import pytest
import yaml

from fastrot.config import Config
from fastrot.distributed.runtime import Runtime
from fastrot.runs.checkpoint import load_checkpoint, save_checkpoint
from fastrot.runs.run_folder import RunFolder
from pipelines.errors import FastrotError, UsageError


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(name="trial", out=str(tmp_path))


def test_the_folder_tells_what_was_run_and_where(
    config: Config, runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(config, writes=True)
    folder.require_new()
    folder.open(config, runtime, step=0)
    folder.log("hello")
    assert yaml.safe_load((folder.path / "config.yaml").read_text())["name"] == "trial"
    assert json.loads((folder.path / "env.json").read_text())["packages"]["torch"]
    assert (folder.path / "train.log").read_text().endswith(" hello\n")
    assert capsys.readouterr().out == "hello\n"


def test_a_folder_in_use_is_refused_with_a_way_out(config: Config, runtime: Runtime) -> None:
    folder = RunFolder(config, writes=True)
    folder.open(config, runtime, step=0)
    with pytest.raises(UsageError, match="trial already exists: resume it with --resume"):
        folder.require_new()


def test_resuming_forgets_what_comes_after(config: Config, runtime: Runtime) -> None:
    folder = RunFolder(config, writes=True)
    folder.open(config, runtime, step=0)
    for step in (1, 2, 3):
        folder.record({"step": step})
    with folder.metrics.open("a") as file:
        file.write('{"step": 4, "lo')  # killed here
    folder.open(config, runtime, step=2)
    folder.record({"step": 3, "again": True})
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    assert lines == [{"step": 1}, {"step": 2}, {"step": 3, "again": True}]


def test_the_newest_checkpoints_are_kept(config: Config, runtime: Runtime) -> None:
    folder = RunFolder(config, writes=True)
    folder.open(config, runtime, step=0)
    for step in (8, 9, 10, 11):
        save_checkpoint(folder.last, {"step": step})
        folder.keep(step, 2)
    kept = sorted(path.name for path in folder.checkpoints.iterdir())
    assert kept == ["last.pt", "step-00000010.pt", "step-00000011.pt"]
    assert load_checkpoint(folder.checkpoints / "step-00000010.pt")["step"] == 10


def test_half_a_checkpoint_of_a_killed_run_is_removed(config: Config, runtime: Runtime) -> None:
    folder = RunFolder(config, writes=True)
    folder.checkpoints.mkdir(parents=True)
    (folder.checkpoints / "last.pt.0123abcd.tmp").write_bytes(b"half")
    folder.open(config, runtime, step=0)
    assert list(folder.checkpoints.iterdir()) == []


def test_other_processes_write_nothing(config: Config, runtime: Runtime) -> None:
    folder = RunFolder(config, writes=False)
    folder.open(config, runtime, step=0)
    folder.record({"step": 1})
    folder.log("hello")
    assert not folder.path.exists()


def test_a_folder_that_cannot_be_made_is_named(
    config: Config, runtime: Runtime, tmp_path: Path
) -> None:
    (tmp_path / "trial").write_text("a file")
    with pytest.raises(FastrotError, match="trial cannot be written"):
        RunFolder(config, writes=True).open(config, runtime, step=0)
