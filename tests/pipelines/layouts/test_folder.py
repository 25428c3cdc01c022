import pytest

from pipelines.errors import FastrotError
from pipelines.layouts import read_layout
from tests.pipelines.layouts.trees import summary, touch


def test_a_folder_passes_other_files_over(tmp_path):
    touch(tmp_path, "b.MP4", "a.avi", "README.md", ".hidden.mp4", "notes.txt")
    listing = read_layout(tmp_path, "folder")
    assert summary(listing) == [("a.avi", None, ()), ("b.MP4", None, ())]
    assert listing.classes == []


def test_a_folder_of_folders_has_classes(tmp_path):
    touch(tmp_path, "run/1.avi", "jump/1.avi", "jump/2.avi")
    listing = read_layout(tmp_path, "folder")
    assert listing.classes == ["jump", "run"]
    assert summary(listing)[0] == ("jump/1.avi", "jump", ())


def test_folders_named_train_and_test_are_splits(tmp_path):
    touch(tmp_path, "train/run/1.avi", "train/jump/1.avi", "test/run/2.avi")
    listing = read_layout(tmp_path, "folder")
    assert listing.classes == ["jump", "run"]
    assert summary(listing) == [
        ("test/run/2.avi", "run", ("test",)),
        ("train/jump/1.avi", "jump", ("train",)),
        ("train/run/1.avi", "run", ("train",)),
    ]


@pytest.mark.parametrize("names", [["a.avi", "x/b.avi"], ["only/a.avi"], ["x/y/a.avi", "z/b.avi"]])
def test_a_folder_without_a_clear_class_is_unlabelled(tmp_path, names):
    touch(tmp_path, *names)
    listing = read_layout(tmp_path, "folder")
    assert listing.classes == []
    assert all(entry.label is None for entry in listing.entries)


def test_one_file_is_a_source_too(tmp_path):
    touch(tmp_path, "a.avi", "b.avi")
    assert summary(read_layout(tmp_path / "b.avi", "folder")) == [("b.avi", None, ())]


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(FastrotError, match=r"no videos found in"):
        read_layout(tmp_path, "folder")
