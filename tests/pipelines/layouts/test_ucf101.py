import shutil

import pytest

from pipelines.errors import FastrotError, UsageError
from pipelines.layouts import read_layout
from tests.pipelines.layouts.trees import summary, touch, write


@pytest.fixture
def ucf101(tmp_path):
    """Return UCF101 in small, with the official names and line forms (and their CRLF)."""
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_bytes(b"1 ApplyEyeMakeup\r\n2 Archery\r\n")
    eye, bow = "ApplyEyeMakeup/v_ApplyEyeMakeup_g", "Archery/v_Archery_g"
    (lists / "trainlist01.txt").write_text(f"{eye}08_c01.avi 1\n{bow}08_c01.avi 2\n")
    (lists / "testlist01.txt").write_text(f"{eye}01_c01.avi\n{bow}01_c01.avi\n")
    (lists / "trainlist02.txt").write_text(f"{eye}01_c01.avi 1\n{bow}01_c01.avi 2\n")
    (lists / "testlist02.txt").write_text(f"{eye}08_c01.avi\n{bow}08_c01.avi\n")
    for name in (f"{eye}08_c01.avi", f"{eye}01_c01.avi", f"{bow}08_c01.avi"):
        touch(tmp_path / "UCF-101", name)
    return tmp_path


def test_ucf101(ucf101):
    listing = read_layout(ucf101, "ucf101")
    assert listing.classes == ["ApplyEyeMakeup", "Archery"]
    assert summary(listing) == [
        ("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi", "ApplyEyeMakeup", ("train2", "test1")),
        ("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", "ApplyEyeMakeup", ("train1", "test2")),
        ("Archery/v_Archery_g08_c01.avi", "Archery", ("train1", "test2")),
    ]
    assert listing.missing == ["Archery/v_Archery_g01_c01.avi"]


def test_ucf101_without_its_lists_says_what_to_get(tmp_path):
    touch(tmp_path, "Archery/v_Archery_g01_c01.avi")
    with pytest.raises(FastrotError, match=r"no classInd\.txt.*UCF101TrainTestSplits"):
        read_layout(tmp_path, "ucf101")


def test_ucf101_with_a_broken_list_names_the_file_and_the_line(ucf101):
    (ucf101 / "ucfTrainTestlist" / "testlist01.txt").write_text("Swimming/v_Swimming_g01_c01.avi\n")
    with pytest.raises(FastrotError, match=r"testlist01\.txt: 'Swimming/v_Swimming_g01_c01\.avi'"):
        read_layout(ucf101, "ucf101")


def test_a_list_that_is_no_text_is_named(ucf101):
    (ucf101 / "ucfTrainTestlist" / "testlist01.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FastrotError, match=r"testlist01\.txt is not UTF-8 text"):
        read_layout(ucf101, "ucf101")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi.mp4", ".mp4.mkv"])
def test_converted_videos_keep_their_listed_names(ucf101, suffix):
    before = read_layout(ucf101, "ucf101")
    for path in sorted((ucf101 / "UCF-101").glob("*/*.avi")):
        path.rename(path.with_suffix(suffix))
    after = read_layout(ucf101, "ucf101")
    assert (summary(after), after.missing) == (summary(before), before.missing)
    assert all(entry.path.name.endswith(f"_c01{suffix}") for entry in after.entries)


@pytest.mark.parametrize("folder", ["a_detection", "zz_detection"])
@pytest.mark.parametrize("classes", [["Archery"], ["ApplyEyeMakeup", "Archery"]])
def test_the_recognition_lists_are_taken_beside_the_detection_lists(ucf101, folder, classes):
    before = summary(read_layout(ucf101, "ucf101"))
    write(ucf101 / folder / "classInd.txt", *(f"{i} {name}" for i, name in enumerate(classes, 1)))
    write(ucf101 / folder / "trainlist01.txt", "Archery/v_Archery_g01_c01.avi 1")
    write(ucf101 / folder / "testlist01.txt", "Archery/v_Archery_g08_c01.avi")
    listing = read_layout(ucf101, "ucf101")
    assert summary(listing) == before
    assert listing.classes == ["ApplyEyeMakeup", "Archery"]
    (warning,) = listing.warnings
    assert "ucfTrainTestlist (2 classes), not those" in warning
    assert f"{folder} (1 class)" in warning


def test_two_choices_are_asked_about(ucf101):
    shutil.copytree(ucf101 / "ucfTrainTestlist", ucf101 / "mine")
    assert read_layout(ucf101, "ucf101").warnings == []  # a copy
    (ucf101 / "mine/testlist02.txt").unlink()
    with pytest.raises(UsageError, match=r"ucf.* and .*mine differ|mine and .*ucf.* differ"):
        read_layout(ucf101, "ucf101")


def test_classes_without_lists_beside_them_do_not_count(ucf101):
    write(ucf101 / "UCF-101" / "classInd.txt", "1 Archery")
    assert read_layout(ucf101, "ucf101").classes == ["ApplyEyeMakeup", "Archery"]


def test_a_folder_that_is_spelt_otherwise_is_named(ucf101):
    (ucf101 / "UCF-101/ApplyEyeMakeup").rename(ucf101 / "UCF-101/apply_eye_makeup")
    listing = read_layout(ucf101, "ucf101")
    assert [entry.label for entry in listing.entries] == ["Archery"]
    assert len(listing.missing) == 3
    (warning,) = listing.warnings
    assert warning == (
        "'apply_eye_makeup' on disk is spelt differently from 'ApplyEyeMakeup' in the lists: rename it "
        "(2 of the missing videos)"
    )
