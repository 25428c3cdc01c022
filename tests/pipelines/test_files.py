"""Files are written completely or not at all."""

import os

import pytest

from pipelines.errors import FastrotError
from pipelines.files import replacing, write_csv, write_file


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_and_bytes_are_written_and_the_folder_is_made(tmp_path):
    write_file(tmp_path / "a" / "b" / "text", "é\udc80\n")  # a file's name may hold such a byte
    assert (tmp_path / "a" / "b" / "text").read_bytes() == b"\xc3\xa9\x80\n"
    write_file(tmp_path / "bytes", b"\x00\xff")
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff"
    write_csv(tmp_path / "table", ("a", "b"), [(1, "x,y")])
    assert (tmp_path / "table").read_text() == 'a,b\n1,"x,y"\n'
    assert names(tmp_path) == ["a", "bytes", "table"]


def test_the_old_file_stays_until_the_new_one_is_whole_and_synced(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_file(path, "old")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.read_text()))
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert synced == ["old", "new"]  # the file before the rename, the folder after it
    assert names(tmp_path) == ["file"]


def test_two_writers_do_not_share_a_temporary_file(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as one, replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("full")])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    write_file(path, "old")

    def fail(temporary):
        temporary.write_text("half")
        raise error

    with (
        pytest.raises(FastrotError, match=r"file cannot be written: (No space left|full)"),
        replacing(path) as temporary,
    ):
        fail(temporary)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_place_where_no_file_can_be_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FastrotError, match=r"file/below cannot be written"):
        write_file(tmp_path / "file" / "below", "")
    with pytest.raises(FastrotError, match="cannot be written: Is a directory"):
        write_file(tmp_path, "")
