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
    with pytest.raises(FastrotError, match=r"contains no videos \(layout folder.*check --layout"):
        read_layout(tmp_path, "folder")


def test_a_video_beside_the_class_folders_is_named(tmp_path):
    touch(tmp_path, "run/1.avi", "jump/1.avi", "stray.avi")
    listing = read_layout(tmp_path, "folder")
    assert listing.classes == []
    assert listing.warnings == [
        "no classes were found, because 1 video (stray.avi) is not directly in the folders jump, run: "
        "move these videos into a class folder or out of the data set, or define classes with --list"
    ]


@pytest.mark.parametrize("third", ["extra/run/3.avi", "extra/3.avi", "3.avi"])
@pytest.mark.parametrize("inner", ["run/", ""])
def test_what_lies_beside_the_split_folders_is_named(tmp_path, third, inner):
    touch(tmp_path, f"train/{inner}1.avi", f"val/{inner}2.avi", third)
    listing = read_layout(tmp_path, "folder")
    assert {(entry.label, entry.splits) for entry in listing.entries} == {(None, ())}
    assert listing.classes == []
    (warning,) = listing.warnings
    assert warning.startswith(
        f"the folders train, val are not used as splits, because 1 video ({third}) is outside them"
    )


def test_a_class_may_be_called_like_a_split(tmp_path):
    touch(tmp_path, "test/1.avi", "run/2.avi")
    listing = read_layout(tmp_path, "folder")
    assert listing.classes == ["run", "test"]
    (warning,) = listing.warnings
    assert "the folders test are not used as splits" in warning


@pytest.mark.parametrize(
    ("names", "warning"),
    [
        (["a.avi", "b.avi"], None),
        (["train/a.avi", "val/b.avi"], None),
        (["only/a.avi", "only/b.avi"], "all videos are in one folder, only"),
        (
            ["x/y/a.avi", "z/w/b.avi"],
            "2 videos (x/y/a.avi, z/w/b.avi) are not directly in one folder",
        ),
        (
            ["train/run/a.avi", "train/b.avi"],
            "1 video (train/b.avi) is not directly in the folders run",
        ),
    ],
)
def test_only_what_is_near_to_classes_is_worth_a_warning(tmp_path, names, warning):
    touch(tmp_path, *names)
    listing = read_layout(tmp_path, "folder")
    assert listing.classes == []
    assert [warning in found for found in listing.warnings] == ([True] if warning else [])


def test_a_linked_class_is_a_class(tmp_path):
    touch(tmp_path, "data/jump/1.avi", "elsewhere/1.avi")
    (tmp_path / "data/run").symlink_to(tmp_path / "elsewhere")
    listing = read_layout(tmp_path / "data", "folder")
    assert listing.classes == ["jump", "run"]
    assert summary(listing)[1] == ("run/1.avi", "run", ())


def test_lists_and_hidden_folders_do_not_count(tmp_path):
    touch(tmp_path, "run/1.avi", "jump/1.avi", ".Trash-1000/files/2.avi", "notes.txt")
    listing = read_layout(tmp_path, "folder")
    assert listing.classes == ["jump", "run"]
    assert listing.passed.counts == {"hidden folders": 1, ".txt files": 1}
