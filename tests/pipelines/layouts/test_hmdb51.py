import shutil

import pytest

from pipelines.errors import FastrotError, UsageError
from pipelines.layouts import read_layout
from tests.pipelines.layouts.trees import summary, touch, write

SPLITS = "testTrainMulti_7030_splits"
CLAP = "#20_Rhythm_clap_u_nm_np1_fr_goo_0.avi"
BRUSH = "April_09_brush_hair_u_nm_np1_ba_goo_0.avi"
ODD = "(HQ) [Tom & Jerry]; $1_brush_hair_u_cm_np2_le_goo_3.avi"
GONE = "Veoh_Alpha_Dog_1_brush_hair_f_nm_np1_fr_med_0.avi"


@pytest.fixture
def hmdb51(tmp_path):
    """Return HMDB51 in small; its lines end with a space, as the official ones do."""
    for number, ids in enumerate([(1, 2, 1), (2, 1, 0), (0, 1, 2)], 1):
        lines = [f"{name} {id_} " for name, id_ in zip((BRUSH, ODD, GONE), ids, strict=True)]
        write(tmp_path / SPLITS / f"brush_hair_test_split{number}.txt", *lines)
        write(tmp_path / SPLITS / f"clap_test_split{number}.txt", f"{CLAP} 0 ")
    touch(tmp_path / "hmdb51_org", f"brush_hair/{BRUSH}", f"brush_hair/{ODD}", f"clap/{CLAP}")
    touch(tmp_path / "hmdb51_org", "clap/unlisted.avi")
    return tmp_path


def test_hmdb51(hmdb51):
    listing = read_layout(hmdb51, "hmdb51")
    assert listing.classes == ["brush_hair", "clap"]
    assert summary(listing) == [
        (f"brush_hair/{ODD}", "brush_hair", ("test1", "train2", "train3")),
        (f"brush_hair/{BRUSH}", "brush_hair", ("train1", "test2")),
        (f"clap/{CLAP}", "clap", ()),
    ]
    assert listing.missing == [f"brush_hair/{GONE}"]
    assert [entry.path.name for entry in listing.entries] == [ODD, BRUSH, CLAP]


def test_archives_unpacked_into_folders_of_their_own(hmdb51):
    flat = summary(read_layout(hmdb51, "hmdb51"))
    videos = hmdb51 / "hmdb51_org"
    for label in ("brush_hair", "clap"):
        (videos / label).rename(videos / "inner")
        (videos / label).mkdir()
        (videos / "inner").rename(videos / label / label)
    nested = read_layout(hmdb51, "hmdb51")
    assert summary(nested) == flat
    assert nested.entries[0].path == videos / "brush_hair" / "brush_hair" / ODD


def test_one_file_name_in_two_classes_is_two_videos(hmdb51):
    write(hmdb51 / SPLITS / "clap_test_split1.txt", f"{BRUSH} 1")
    touch(hmdb51, f"hmdb51_org/clap/{BRUSH}")
    entries = {entry.name: entry for entry in read_layout(hmdb51, "hmdb51").entries}
    assert entries[f"clap/{BRUSH}"].splits == ("train1",)
    assert entries[f"brush_hair/{BRUSH}"].splits == ("train1", "test2")
    assert entries[f"clap/{BRUSH}"].path != entries[f"brush_hair/{BRUSH}"].path


def test_a_copy_of_the_lists_changes_nothing(hmdb51):
    before = summary(read_layout(hmdb51, "hmdb51"))
    shutil.copytree(hmdb51 / SPLITS, hmdb51 / "copy")
    for path in sorted((hmdb51 / SPLITS).iterdir()):
        write(hmdb51 / SPLITS / f"._{path.name}", "\0\1\2")
    listing = read_layout(hmdb51, "hmdb51")
    assert summary(listing) == before
    assert not [warning for warning in listing.warnings if "lists" in warning]


def test_the_lists_of_more_classes_are_taken(hmdb51):
    """JHMDB's lists of 21 of the classes have the same names."""
    before = summary(read_layout(hmdb51, "hmdb51"))
    write(hmdb51 / "a_sub_splits" / "clap_test_split1.txt", f"{CLAP} 2")
    listing = read_layout(hmdb51, "hmdb51")
    assert summary(listing) == before
    (warning,) = [warning for warning in listing.warnings if "a_sub_splits" in warning]
    assert f"{SPLITS} (2 classes), not those" in warning


def test_other_lists_of_as_many_classes_are_asked_about(hmdb51):
    for path in sorted((hmdb51 / SPLITS).iterdir()):
        write(hmdb51 / "zz_other" / path.name, f"{CLAP} 1", f"{BRUSH} 2")
    with pytest.raises(UsageError, match=rf"{SPLITS} and .*zz_other differ.* move the other"):
        read_layout(hmdb51, "hmdb51")


@pytest.mark.parametrize("suffix", [".mp4", ".MKV", ".avi.mp4", ".mp4.mkv"])
def test_converted_videos_keep_their_listed_names(hmdb51, suffix):
    before = summary(read_layout(hmdb51, "hmdb51"))
    for path in sorted((hmdb51 / "hmdb51_org").glob("*/*.avi")):
        path.rename(path.with_suffix(suffix))
    listing = read_layout(hmdb51, "hmdb51")
    assert summary(listing) == before
    assert listing.entries[1].path.name == BRUSH.replace(".avi", suffix)
    (warning,) = [warning for warning in listing.warnings if "suffix" in warning]
    assert warning.startswith("3 videos matched by name without the suffix")


def test_a_class_without_one_of_the_lists_is_named(hmdb51):
    (hmdb51 / SPLITS / "clap_test_split2.txt").unlink()
    with pytest.raises(FastrotError, match=r"has no clap_test_split2\.txt"):
        read_layout(hmdb51, "hmdb51")


@pytest.mark.parametrize("line", ["x.avi", "x.avi 3", "x.avi -1", "1", "x.avi train"])
def test_a_broken_line_is_named(hmdb51, line):
    write(hmdb51 / SPLITS / "clap_test_split3.txt", f"{CLAP} 1", "", line)
    with pytest.raises(FastrotError, match=rf"clap_test_split3\.txt, line 3: '{line}'"):
        read_layout(hmdb51, "hmdb51")
