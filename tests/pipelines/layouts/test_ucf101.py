import pytest

from pipelines.errors import FastrotError
from pipelines.layouts import read_layout
from tests.pipelines.layouts.trees import summary, touch


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
