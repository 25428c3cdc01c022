import tracemalloc

import pytest

from pipelines.errors import FastrotError, UsageError
from pipelines.layouts import LAYOUTS, read_layout
from tests.pipelines.layouts.trees import touch

OFFICIAL = sorted(LAYOUTS.keys() - {"folder", "list"})


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_a_wrong_path_is_named(tmp_path, layout):
    with pytest.raises(FastrotError, match=r"nowhere does not exist"):
        read_layout(tmp_path / "nowhere", layout)


@pytest.mark.parametrize("layout", OFFICIAL)
def test_a_folder_without_the_official_lists_says_what_to_get(tmp_path, layout):
    touch(tmp_path, "Archery/v_Archery_g01_c01.avi", "train.csv")
    with pytest.raises(FastrotError, match=r"into it|below it"):
        read_layout(tmp_path, layout)


@pytest.mark.parametrize("layout", OFFICIAL)
def test_one_video_is_no_data_set(tmp_path, layout):
    touch(tmp_path, "a.avi")
    with pytest.raises(FastrotError, match=r"a\.avi (contains no|has no|must contain)"):
        read_layout(tmp_path / "a.avi", layout)


def test_nothing_found_says_what_was_passed_over(tmp_path):
    touch(tmp_path, ".Trash-1000/a.mp4", "notes.pdf")
    with pytest.raises(FastrotError, match=r"hidden folders: 1 \(\.Trash-1000\)") as caught:
        read_layout(tmp_path, "folder")
    assert ".pdf files: 1 (notes.pdf)" in str(caught.value)


@pytest.mark.parametrize(
    "names",
    [("Run", "run"), ("horse riding", "HorseRiding"), ("a+b", "A_b"), ("café", "cafe\u0301")],
)
def test_classes_that_are_spelt_nearly_alike_are_named(tmp_path, names):
    touch(tmp_path, *(f"{name}/1.avi" for name in names), "swim/1.avi")
    listing = read_layout(tmp_path, "folder")
    assert len(listing.classes) == 3
    (warning,) = listing.warnings
    assert all(repr(name) in warning for name in names)
    assert "swim" not in warning


def test_lists_are_for_the_layout_list(tmp_path):
    touch(tmp_path, "a.avi")
    with pytest.raises(UsageError, match=r"--list needs --layout list, not --layout folder"):
        read_layout(tmp_path, "folder", [tmp_path / "train.csv"])


def layouts_of_the_same_videos(folder, count):
    """Write Kinetics lists and videos whose class folders the layout "folder" reads as well."""
    lines = ["label,youtube_id,time_start,time_end,split"]
    for number in range(count):
        label, clip = f"the class {number % 20:04d}", f"video{number:06d}"
        (folder / label).mkdir(exist_ok=True)
        (folder / label / f"{clip}_000000_000010.mp4").touch()
        lines.append(f"{label},{clip},0,10,train")
    (folder / "train.csv").write_text("\n".join(lines))


@pytest.mark.parametrize("layout", ["kinetics", "folder"])
def test_a_video_takes_a_few_hundred_bytes(tmp_path, layout):
    # Each task of a Slurm array lists the whole data set, which may have half a million videos.
    count = 3000
    layouts_of_the_same_videos(tmp_path, count)
    read_layout(tmp_path, layout)  # fills the caches
    tracemalloc.start()
    try:
        listing = read_layout(tmp_path, layout)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(listing.entries) == count
    assert len({id(entry.splits) for entry in listing.entries}) <= 20
    assert peak / count < 420, f"{peak / count:.0f} bytes"
