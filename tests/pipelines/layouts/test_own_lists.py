import pytest

from pipelines.errors import FastrotError, UsageError
from pipelines.layouts import read_layout
from tests.pipelines.layouts.trees import summary, touch, write


def read(source, *names):
    return read_layout(source, "list", [source / name for name in names])


def test_each_list_is_a_split(tmp_path):
    touch(tmp_path, "a/1.avi", "a/2.avi", "b 3.mp4", "unlisted.mp4")
    write(tmp_path / "train.csv", "path,label", "a/1.avi,run", "", "b 3.mp4,high jump")
    write(tmp_path / "val.txt", "./a/2.avi run", "gone.avi run")
    listing = read(tmp_path, "train.csv", "val.txt")
    assert listing.classes == ["high jump", "run"]
    assert summary(listing) == [
        ("a/1.avi", "run", ("train",)),
        ("a/2.avi", "run", ("val",)),
        ("b 3.mp4", "high jump", ("train",)),
    ]
    assert [entry.path for entry in listing.entries] == [
        tmp_path / "a/1.avi",
        tmp_path / "a/2.avi",
        tmp_path / "b 3.mp4",
    ]
    assert listing.missing == ["gone.avi"]
    assert listing.passed.names["unlisted videos"] == ["unlisted.mp4"]
    assert listing.warnings == []


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("a b, c.mp4 7", "7"),
        ("a b, c.mp4\thigh jump", "high jump"),
        ("a b, c.mp4\t high, very high ", "high, very high"),
        ('"a b, c.mp4",high jump', "high jump"),
        ('"a b, c.mp4", "high, jump"', "high, jump"),
        ('"a b, c.mp4" high', "high"),
        ("a b, c.mp4", None),
        ("a b, c.mp4\t", None),
        ('"a b, c.mp4",', None),
    ],
)
@pytest.mark.parametrize("header", [[], ["video label"], ["filename\tclass"]])
def test_a_line(tmp_path, line, label, header):
    touch(tmp_path, "a b, c.mp4")
    write(tmp_path / "train.csv", *header, line)
    assert summary(read(tmp_path, "train.csv")) == [("a b, c.mp4", label, ("train",))]


@pytest.mark.parametrize(
    "line", ["a.mp4 high jump", "a.mp4,run,30", "a.mp4\trun\t30", "frames/a run", "run a.mp4x"]
)
def test_a_broken_line_is_named(tmp_path, line):
    touch(tmp_path, "a.mp4")
    write(tmp_path / "train.csv", "a.mp4 run", line)
    with pytest.raises(FastrotError, match=r"train\.csv, line 2: .* is not a video and its label"):
        read(tmp_path, "train.csv")


def test_a_broken_first_line_is_no_header(tmp_path):
    write(tmp_path / "train.csv", "a.mp4 high jump", "a.mp4 run")
    with pytest.raises(FastrotError, match=r"train\.csv, line 1: "):
        read(tmp_path, "train.csv")


def test_numbers_are_classes_in_their_order(tmp_path):
    names = [f"{i}.avi" for i in range(12)]
    touch(tmp_path, *names)
    write(tmp_path / "train.csv", *(f"{name} {i}" for i, name in enumerate(names)))
    assert read(tmp_path, "train.csv").classes == [str(i) for i in range(12)]


def test_absolute_paths_and_hidden_folders(tmp_path):
    source = tmp_path / "videos"
    touch(tmp_path, "videos/a.avi", "videos/.hidden/b.avi", "outside/c.avi", "outside/d.avi")
    lines = [source / "a.avi", ".hidden/b.avi", tmp_path / "outside/c.avi", "../outside/d.avi"]
    write(tmp_path / "train.csv", *(f"{line} run" for line in lines))
    listing = read_layout(source, "list", [tmp_path / "train.csv"])
    assert {entry.name: entry.path.resolve() for entry in listing.entries} == {
        "a.avi": source / "a.avi",
        ".hidden/b.avi": source / ".hidden/b.avi",
        str(tmp_path / "outside/c.avi"): tmp_path / "outside/c.avi",
        "../outside/d.avi": tmp_path / "outside/d.avi",
    }


def test_a_video_of_two_labels_is_refused(tmp_path):
    touch(tmp_path, "a.avi")
    write(tmp_path / "train.csv", "a.avi run")
    write(tmp_path / "val.csv", "a.avi jump")
    with pytest.raises(
        FastrotError, match=r"val\.csv, line 1: a\.avi .* 'jump', but an earlier line has 'run'"
    ):
        read(tmp_path, "train.csv", "val.csv")


def test_a_video_of_two_splits_is_named(tmp_path):
    touch(tmp_path, "a.avi", "b.avi")
    write(tmp_path / "train.csv", "a.avi run", "a.avi run", "b.avi jump")
    write(tmp_path / "val.csv", "./a.avi")
    listing = read(tmp_path, "train.csv", "val.csv")
    assert summary(listing)[0] == ("a.avi", "run", ("train", "val"))
    (warning,) = listing.warnings
    assert warning.startswith("1 video named in more than one list (a.avi)")


def test_a_list_called_all_makes_no_split(tmp_path):
    touch(tmp_path, "a.avi")
    write(tmp_path / "all.csv", "a.avi run")
    assert summary(read(tmp_path, "all.csv")) == [("a.avi", "run", ())]


def test_lists_are_needed_and_have_names_of_their_own(tmp_path):
    touch(tmp_path, "a.avi")
    with pytest.raises(UsageError, match=r"--layout list needs --list FILE"):
        read(tmp_path)
    with pytest.raises(UsageError, match=r"train\.txt both name the split 'train'"):
        read(tmp_path, "train.csv", "train.txt")
    with pytest.raises(FastrotError, match=r"train\.csv cannot be read: No such file"):
        read(tmp_path, "train.csv")


def test_a_name_that_is_spelt_otherwise_is_named(tmp_path):
    touch(tmp_path, "High Jump/Clip 1.avi")
    write(tmp_path / "train.csv", "high_jump/clip_1.avi 0", "x.avi 1")
    with pytest.raises(
        FastrotError, match=r"'High Jump' on disk is spelt differently from 'high_jump'"
    ):
        read(tmp_path, "train.csv")
