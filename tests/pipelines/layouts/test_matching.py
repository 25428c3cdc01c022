import pytest

from pipelines.layouts.matching import bare, find_listed, folded
from pipelines.layouts.walk import walk
from tests.pipelines.layouts.trees import touch


def find(source, *names):
    return find_listed(names, walk(source), lambda video: video.tail)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a/x.avi", "a/x"),
        ("a/x.AVI.mp4", "a/x"),
        ("x.mp4.mkv.webm", "x"),
        ("v1.2 (HQ).mp4", "v1.2 (HQ)"),
        ("a.avi/x", "a.avi/x"),
        (".mp4", ".mp4"),
        ("x", "x"),
    ],
)
def test_bare_names_have_no_video_suffix(name, stem):
    assert bare(name) == stem


def test_names_that_people_take_for_one_are_folded_into_one():
    assert len({folded(name) for name in ("Horse Riding", "horse_riding", "HorseRiding")}) == 1
    assert folded("1") != folded("10")


def test_the_listed_name_goes_before_converted_ones(tmp_path):
    touch(tmp_path, "a/x.3gp", "a/x.avi", "a/x.avi.mp4", "b/y.mp4", "b/y.mkv")
    found = find(tmp_path, "a/x.avi", "b/y.avi", "b/z.avi")
    assert {name: file.name for name, file in found.on_disk.items()} == {
        "a/x.avi": "x.avi",
        "b/y.avi": "y.mkv",
    }
    doubles = [warning for warning in found.warnings if "same video" in warning]
    assert doubles[0].startswith("3 files skipped, because")
    assert f"{tmp_path}/b/y.mkv instead of {tmp_path}/b/y.mp4" in doubles[0]


def test_files_that_are_listed_themselves_stand_for_no_other(tmp_path):
    touch(tmp_path, "a/x.mp4")
    found = find(tmp_path, "a/x.mp4", "a/x.avi")
    assert set(found.on_disk) == {"a/x.mp4"}
    assert found.warnings == []


def test_one_converted_file_stands_for_one_video(tmp_path):
    touch(tmp_path, "a/x.mp4")
    assert set(find(tmp_path, "a/x.avi", "a/x.mkv").on_disk) == {"a/x.avi"}


def test_the_same_name_in_two_places_is_told(tmp_path):
    touch(tmp_path, "large/a/x.avi", "small/a/x.avi")
    found = find(tmp_path, "a/x.avi")
    assert found.on_disk["a/x.avi"].path == tmp_path / "large/a/x.avi"
    assert f"instead of {tmp_path}/small/a/x.avi" in found.warnings[0]


def test_near_misses_are_grouped(tmp_path):
    touch(tmp_path, "run fast/1.avi", "run fast/2.avi", "swim/Lap_1.avi", "swim/else.avi")
    found = find(tmp_path, "Run_Fast/1.avi", "Run_Fast/2.avi", "swim/lap 1.avi", "swim/2.avi")
    assert found.on_disk == {}
    assert [warning.split(":")[0] for warning in found.warnings] == [
        "'run fast' on disk is spelt differently from 'Run_Fast' in the lists",
        "'swim/Lap_1.avi' on disk is spelt differently from 'swim/lap 1.avi' in the lists",
    ]
    assert "(2 of the missing videos)" in found.warnings[0]
