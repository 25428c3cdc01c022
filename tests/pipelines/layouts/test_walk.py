import os
from pathlib import Path

import pytest

from pipelines.layouts.entry import Passed
from pipelines.layouts.walk import walk
from tests.pipelines.layouts.trees import touch


def videos(source):
    return [file.path.relative_to(source).as_posix() for file in walk(source).videos]


def test_a_walk_separates_videos_lists_and_the_rest(tmp_path):
    touch(tmp_path, "b/x.MP4", "b/X.CSV", "b/noise.jpg", "a.webm", "README", "list.txt")
    touch(tmp_path, "._x.mp4", "._list.txt", ".mp4", "b/mp4", "b/y.mp4.part")
    tree = walk(tmp_path)
    assert [file.path for file in tree.videos] == [tmp_path / "a.webm", tmp_path / "b/x.MP4"]
    assert tree.lists == [tmp_path / "list.txt", tmp_path / "b/X.CSV"]
    assert tree.passed.counts == {
        "hidden files": 3,
        ".jpg files": 1,
        ".part files": 1,
        "files without a suffix": 2,
    }
    assert tree.passed.names["files without a suffix"] == ["README", "b/mp4"]


def test_a_file_knows_its_tail(tmp_path):
    touch(tmp_path, "class [1]/a.b & c.avi")
    (video,) = walk(tmp_path).videos
    assert video.tail == "class [1]/a.b & c.avi"
    assert video.path == tmp_path / "class [1]/a.b & c.avi"


def test_a_folder_that_is_called_like_a_video_is_listed(tmp_path):
    touch(tmp_path, "frames.avi/1.jpg")
    assert videos(tmp_path) == ["frames.avi"]


@pytest.mark.parametrize("name", [".Trash-1000", ".ipynb_checkpoints", "@eaDir", "__MACOSX"])
def test_hidden_folders_are_passed_over_and_counted(tmp_path, name):
    touch(tmp_path, "run/1.avi", f"{name}/run/2.avi", f"run/{name}/3.avi")
    assert videos(tmp_path) == ["run/1.avi"]
    passed = walk(tmp_path).passed
    assert passed.counts == {"hidden folders": 2}
    assert passed.names["hidden folders"] == [name, f"run/{name}"]


def test_a_source_may_be_hidden_itself(tmp_path):
    touch(tmp_path, ".cache/run/1.avi")
    assert videos(tmp_path / ".cache") == ["run/1.avi"]


def test_links_to_folders_are_followed(tmp_path):
    touch(tmp_path, "elsewhere/1.avi", "elsewhere/inner/2.avi", "data/jump/3.avi")
    (tmp_path / "data/run").symlink_to(tmp_path / "elsewhere")
    assert videos(tmp_path / "data") == ["jump/3.avi", "run/1.avi", "run/inner/2.avi"]
    (tmp_path / "top").symlink_to(tmp_path / "data")
    assert videos(tmp_path / "top") == ["jump/3.avi", "run/1.avi", "run/inner/2.avi"]
    (tmp_path / "outer").mkdir()
    (tmp_path / "outer/data").symlink_to(tmp_path / "data")
    assert videos(tmp_path / "outer") == [
        "data/jump/3.avi",
        "data/run/1.avi",
        "data/run/inner/2.avi",
    ]


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("loop", "."),
        ("above", ".."),
        ("run/loop", "."),
        ("run/loop", "run"),
        ("a", "run"),  # the real folder goes first, whatever the order of the names
        ("z", "run"),
        ("jump/run", "run"),
    ],
)
def test_each_folder_is_read_once(tmp_path, link, target):
    data = tmp_path / "data"
    touch(tmp_path, "data/run/1.avi", "data/jump/2.avi", "beside/3.avi")
    (data / link).symlink_to(data / target)
    assert videos(data) == ["jump/2.avi", "run/1.avi"]
    assert walk(data).passed.names == {"links to folders already read": [link]}


def test_links_that_lead_to_each_other_end(tmp_path):
    touch(tmp_path, "data/run/1.avi", "x/2.avi", "y/3.avi")
    (tmp_path / "data/x").symlink_to(tmp_path / "x")
    (tmp_path / "x/y").symlink_to(tmp_path / "y")
    (tmp_path / "y/x").symlink_to(tmp_path / "x")
    (tmp_path / "y/data").symlink_to(tmp_path / "data")
    (tmp_path / "data/self").symlink_to("self")
    (tmp_path / "data/broken").symlink_to("nowhere")
    assert videos(tmp_path / "data") == ["run/1.avi", "x/2.avi", "x/y/3.avi"]
    passed = walk(tmp_path / "data").passed.names
    assert passed["links to folders already read"] == ["x/y/data", "x/y/x"]
    assert passed["files without a suffix"] == ["broken", "self"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "open/1.avi", "shut/2.avi")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything
    assert videos(tmp_path) == ["open/1.avi"]
    assert walk(tmp_path).passed.names == {"unreadable folders": ["shut: Permission denied"]}


def test_what_was_passed_over_is_told_in_few_words():
    passed = Passed()
    assert str(passed) == ""
    passed.add("hidden folders", ".git")
    for i in range(1234):
        passed.add(".jpg files", f"{i}.jpg")
    assert str(passed) == ".jpg files: 1,234 (0.jpg, 1.jpg, 2.jpg, ...); hidden folders: 1 (.git)"
