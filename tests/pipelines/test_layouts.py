import pytest

from pipelines.errors import FastrotError
from pipelines.layouts import read_layout


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def summary(listing):
    return [(entry.name, entry.label, entry.splits) for entry in listing.entries]


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


@pytest.mark.parametrize("layout", ["folder", "ucf101"])
def test_a_wrong_path_is_named(tmp_path, layout):
    with pytest.raises(FastrotError, match=r"nowhere does not exist"):
        read_layout(tmp_path / "nowhere", layout)


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(FastrotError, match=r"no videos found in"):
        read_layout(tmp_path, "folder")


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
