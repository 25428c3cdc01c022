import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from fastrot.runs.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from fastrot.training.resume import newest_good
from pipelines.errors import FastrotError, UnreadableError


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    values = {"model": {"w": torch.arange(3.0)}, "step": 3, "config": {"a": [1, None, "x"]}}
    save_checkpoint(tmp_path / "last.pt", values)
    loaded = load_checkpoint(tmp_path / "last.pt")
    assert torch.equal(loaded["model"]["w"], torch.arange(3.0))
    assert (loaded["step"], loaded["config"]) == (3, {"a": [1, None, "x"]})
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_a_failing_write_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"step": 1})

    def fills_the_disk(values: Any, file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fills_the_disk)
    with pytest.raises(FastrotError, match=r"last\.pt cannot be written: .*No space left"):
        save_checkpoint(path, {"step": 2})
    assert load_checkpoint(path)["step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_a_torn_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"model": {"w": torch.zeros(1000)}})
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(FastrotError, match=r"last\.pt is damaged"):
            load_checkpoint(path)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "owned",)

    torch.save({"format": 1, "model": Attack()}, tmp_path / "evil.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Attack(), protocol=2))
    for name in ("evil.pt", "plain.pt"):
        with pytest.raises(FastrotError, match=name):
            load_checkpoint(tmp_path / name)
    assert not (tmp_path / "owned").exists()


def test_foreign_and_absent_files_are_named(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "other.pt")
    with pytest.raises(FastrotError, match=r"other\.pt is not a fastrot checkpoint"):
        load_checkpoint(tmp_path / "other.pt")
    with pytest.raises(FastrotError, match=r"checkpoint .*none\.pt does not exist"):
        load_checkpoint(tmp_path / "none.pt")


def test_a_runs_folder_stands_for_its_last_checkpoint(tmp_path: Path) -> None:
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    last.parent.mkdir(parents=True)
    with pytest.raises(FastrotError, match=r"the folder .*run has no checkpoints/last\.pt: give"):
        find_checkpoint(last.parents[1])
    save_checkpoint(last, {"step": 7})
    assert [find_checkpoint(path) for path in (last, last.parent, last.parents[1])] == [last] * 3
    assert load_checkpoint(last.parents[1])["step"] == 7


def test_a_file_that_cannot_be_read_is_not_taken_for_damaged(tmp_path: Path) -> None:
    """Otherwise a run would resume from an older checkpoint, although the newest one may be intact."""
    newest, older = tmp_path / "last.pt", tmp_path / "step-00000001.pt"
    save_checkpoint(older, {"step": 1})
    newest.symlink_to(newest)
    with pytest.raises(UnreadableError, match=r"last\.pt cannot be read: Too many levels"):
        newest_good([newest, older])
    newest.unlink()
    newest.write_bytes(older.read_bytes()[:-100])
    path, values, said = newest_good([newest, older])
    assert (path, len(said)) == (older, 1)
    assert values is not None
    assert values["step"] == 1
