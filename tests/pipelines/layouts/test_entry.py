from pathlib import Path

from pipelines.layouts.entry import find_videos, index_videos, walk
from tests.pipelines.layouts.trees import touch


def test_a_walk_tells_videos_lists_and_the_rest_apart(tmp_path):
    touch(tmp_path, "b/x.MP4", "b/X.CSV", "b/noise.jpg", "a.webm", "README", "list.txt")
    touch(tmp_path, "._x.mp4", "._list.txt", ".mp4", "b/mp4", "b/y.mp4.part")
    tree = walk(tmp_path)
    assert [file.path for file in tree.videos] == [tmp_path / "a.webm", tmp_path / "b/x.MP4"]
    assert tree.lists == [tmp_path / "list.txt", tmp_path / "b/X.CSV"]


def test_a_file_knows_its_stem_and_tail(tmp_path):
    touch(tmp_path, "class [1]/a.b & c.avi")
    (video,) = walk(tmp_path).videos
    assert (video.stem, video.tail) == ("a.b & c", "class [1]/a.b & c.avi")
    assert video.path == tmp_path / "class [1]/a.b & c.avi"


def test_videos_are_in_the_order_of_their_paths(tmp_path):
    touch(tmp_path, "a/z.avi", "a-b/a.avi", "b.avi", "a/c/a.avi", "a.avi", "a/c.avi")
    assert find_videos(tmp_path) == sorted(tmp_path.rglob("*.avi"))


def test_the_first_of_several_videos_with_one_key_stays(tmp_path):
    touch(tmp_path, "2/x.avi", "1/x.avi")
    index = index_videos(walk(tmp_path).videos, lambda video: video.stem)
    assert {key: video.path for key, video in index.items()} == {"x": Path(tmp_path, "1/x.avi")}
