import shutil

import pytest

from pipelines.errors import FastrotError, UsageError
from pipelines.layouts import read_layout
from tests.pipelines.layouts.trees import summary, touch, write

BLOCK = "blocking/getty-karate-video-id635808620_4.mp4"
SING = "adult+female+singing/yt-5of6ffo6-Bw_205.mp4"
CLAP = "clapping/0-3-6-2-9-1-2-6-14603629126_5.mp4"


@pytest.fixture
def moments(tmp_path):
    """Return Moments in Time in small; its classes are not in alphabetical order."""
    write(tmp_path / "moments_categories.txt", "clapping,0", "adult+female+singing,1", "blocking,2")
    write(
        tmp_path / "trainingSet.csv",
        f"{BLOCK},blocking,3,0",
        f"{SING},adult+female+singing,5,1",
        "clapping/absent.mp4,clapping,3,0",
    )
    write(tmp_path / "validationSet.csv", f"{CLAP},clapping,11,2", f"{BLOCK},blocking,4,0")
    touch(tmp_path, f"training/{BLOCK}", f"training/{SING}", f"validation/{CLAP}")
    touch(tmp_path, f"validation/{BLOCK}", "training/clapping/unlisted.mp4")
    return tmp_path


def test_moments(moments):
    listing = read_layout(moments, "moments")
    assert listing.classes == ["clapping", "adult+female+singing", "blocking"]
    assert summary(listing) == [
        (f"training/{SING}", "adult+female+singing", ("train",)),
        (f"training/{BLOCK}", "blocking", ("train",)),
        (f"validation/{BLOCK}", "blocking", ("val",)),
        (f"validation/{CLAP}", "clapping", ("val",)),
    ]
    assert all(entry.path == moments / entry.name for entry in listing.entries)
    assert listing.missing == ["training/clapping/absent.mp4"]


def test_the_files_may_lie_in_folders(moments):
    before = read_layout(moments, "moments")
    for part in ("videos", "annotations"):
        (moments / part).mkdir()
    for name in ("training", "validation"):
        (moments / name).rename(moments / "videos" / name)
    for name in ("moments_categories.txt", "trainingSet.csv", "validationSet.csv"):
        (moments / name).rename(moments / "annotations" / name)
    after = read_layout(moments, "moments")
    assert (summary(after), after.missing) == (summary(before), before.missing)


def test_the_indices_order_the_classes_whatever_the_rows_order(moments):
    rows = ["blocking, 2", "clapping, 0", "adult+female+singing, 1"]
    write(moments / "moments_categories.txt", *rows)
    listing = read_layout(moments, "moments")
    assert listing.classes == ["clapping", "adult+female+singing", "blocking"]


def test_one_set_is_enough(moments):
    (moments / "trainingSet.csv").unlink()
    names = [entry.name for entry in read_layout(moments, "moments").entries]
    assert names == [f"validation/{BLOCK}", f"validation/{CLAP}"]


@pytest.mark.parametrize(
    ("file", "row", "problem"),
    [
        ("trainingSet.csv", "clapping/x.mp4", "the row is not of the form"),
        ("trainingSet.csv", "x.mp4,clapping,3,0", "the row is not of the form"),
        ("validationSet.csv", "napping/x.mp4,napping,3,0", "class 'napping' is not in"),
        ("moments_categories.txt", "napping", "the row is not a class and its index"),
        ("moments_categories.txt", "napping,three", "the row is not a class and its index"),
        ("moments_categories.txt", "napping,2", "class 'napping' or index 2 occurs twice"),
        ("moments_categories.txt", "blocking,3", "class 'blocking' or index 3 occurs twice"),
    ],
)
def test_a_broken_line_is_named(moments, file, row, problem):
    lines = (moments / file).read_text().splitlines()
    write(moments / file, *lines, row)
    with pytest.raises(FastrotError, match=rf"{file}, line {len(lines) + 1}: {problem}"):
        read_layout(moments, "moments")


def test_indices_with_a_gap_are_refused(moments):
    write(moments / "moments_categories.txt", "clapping,0", "blocking,2")
    with pytest.raises(FastrotError, match=r"the indices are not 0 to 1: download it again"):
        read_layout(moments, "moments")


@pytest.mark.parametrize("gone", [("moments_categories.txt",), ("trainingSet", "validationSet")])
def test_absent_lists_are_named(moments, gone):
    for name in gone:
        next(moments.glob(f"{name}*")).unlink()
    with pytest.raises(FastrotError, match=r"must contain moments_categories\.txt and trainingSet"):
        read_layout(moments, "moments")


def test_converted_videos_keep_their_listed_names(moments):
    before = summary(read_layout(moments, "moments"))
    for path in sorted(moments.glob("*/*/*.mp4")):
        path.rename(path.with_suffix(".webm"))
    assert summary(read_layout(moments, "moments")) == before


def test_two_lists_of_one_name_are_asked_about(moments):
    before = summary(read_layout(moments, "moments"))
    (moments / "old").mkdir()
    shutil.copy(moments / "trainingSet.csv", moments / "old")
    assert summary(read_layout(moments, "moments")) == before  # a copy
    write(moments / "old/trainingSet.csv", f"{BLOCK},blocking,3,0")
    with pytest.raises(UsageError, match=r"trainingSet\.csv and .*trainingSet\.csv differ"):
        read_layout(moments, "moments")


def test_a_folder_that_is_spelt_otherwise_is_named(moments):
    (moments / "training/adult+female+singing").rename(moments / "training/adult female singing")
    (warning,) = read_layout(moments, "moments").warnings
    assert "'training/adult female singing' on disk is spelt differently from" in warning
