import os
import shutil

import pytest

from pipelines.errors import FastrotError, UsageError
from pipelines.layouts import kinetics, read_layout
from tests.pipelines.layouts.trees import summary, touch, write

HEADER = "label,youtube_id,time_start,time_end,split"

# The clips of the fixture according to their official file names.
VAL = "---QUuC4vJs_000084_000094"
TRAIN = "-3B32lodo2M_000059_000069"
EARLY = "_dbc_uKJQN__000040_000050"
LATE = "_dbc_uKJQN__000140_000150"
TEST = "--65_UAU7ao_000000_000010"


@pytest.fixture
def kinetics_lists(tmp_path):
    """Return the lists of Kinetics in small, without a video yet."""
    write(
        tmp_path / "annotations" / "train.csv",
        f"{HEADER},is_cc",
        "abseiling,-3B32lodo2M,59,69,train,0",
        '"air drumming",_dbc_uKJQN_,40,50,train,0',
        "massaging person's head,_dbc_uKJQN_,140,150,train,1",
    )
    write(
        tmp_path / "annotations" / "validate.csv", HEADER, "testifying,---QUuC4vJs,84,94,validate"
    )
    write(
        tmp_path / "annotations" / "test.csv",
        "youtube_id,time_start,time_end,split",
        "--65_UAU7ao,0,10,test",
    )
    return tmp_path


EXPECTED = [
    (f"{TEST}.mp4", None, ("test",)),
    (f"abseiling/{TRAIN}.mp4", "abseiling", ("train",)),
    (f"air drumming/{EARLY}.mp4", "air drumming", ("train",)),
    (f"massaging person's head/{LATE}.mp4", "massaging person's head", ("train",)),
    (f"testifying/{VAL}.mp4", "testifying", ("val",)),
]
FORMS = {
    "flat": [f"{s}.mp4" for s in (TEST, TRAIN, EARLY, LATE, VAL)],
    "split folders": [
        f"test/{TEST}.mp4",
        *(f"train/{clip}.mp4" for clip in (TRAIN, EARLY, LATE)),
        f"val/{VAL}.mkv",
    ],
    "spaces": [
        f"test/{TEST}.mp4",
        f"train/abseiling/{TRAIN}.mp4",
        f"train/air drumming/{EARLY}.mp4",
        f"train/massaging person's head/{LATE}.mp4",
        f"val/testifying/{VAL}.mp4",
    ],
    "underscores": [
        f"test/{TEST}.webm",
        f"train/abseiling/{TRAIN}.webm",
        f"train/air_drumming/{EARLY}.webm",
        f"train/massaging_persons_head/{LATE}.webm",
        f"val/testifying/{VAL}.webm",
    ],
    "ids": [
        "--65_UAU7ao.mp4",
        "abseiling/-3B32lodo2M.mp4",
        f"air drumming/{EARLY}.mp4",
        f"massaging person's head/{LATE}.mp4",
        "testifying/---QUuC4vJs.mkv",
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_kinetics(kinetics_lists, form):
    touch(kinetics_lists / "videos", *FORMS[form], "unlisted_id_000001_000011.mp4")
    listing = read_layout(kinetics_lists, "kinetics")
    classes = ["abseiling", "air drumming", "massaging person's head", "testifying"]
    assert listing.classes == classes
    assert summary(listing) == EXPECTED
    assert listing.missing == []
    paths = [entry.path.relative_to(kinetics_lists / "videos") for entry in listing.entries]
    assert [path.as_posix() for path in paths] == FORMS[form]


def test_what_is_listed_but_not_on_disk_is_missing(kinetics_lists):
    touch(kinetics_lists, f"train/{TRAIN}.mp4", f"train/{EARLY}.mp4.part")
    listing = read_layout(kinetics_lists, "kinetics")
    assert summary(listing) == [EXPECTED[1]]
    assert listing.missing == [name for name, _, _ in EXPECTED if TRAIN not in name]
    assert len(listing.classes) == 4


def test_an_id_with_two_clips_needs_the_times_in_the_name(kinetics_lists):
    touch(kinetics_lists, "_dbc_uKJQN_.mp4", f"{LATE}.mp4")
    listing = read_layout(kinetics_lists, "kinetics")
    assert summary(listing) == [EXPECTED[3]]
    assert f"air drumming/{EARLY}.mp4" in listing.missing


def test_the_times_go_before_the_plain_id(kinetics_lists):
    touch(kinetics_lists, "-3B32lodo2M.mp4", f"z/{TRAIN}.mp4")
    (entry,) = read_layout(kinetics_lists, "kinetics").entries
    assert entry.path == kinetics_lists / f"z/{TRAIN}.mp4"


def test_the_replacement_of_a_broken_file_is_taken(kinetics_lists):
    replacement = f"replacement/replacement_for_corrupted_k400/{TRAIN}.mp4"
    touch(kinetics_lists, f"a/{TRAIN}.mp4", replacement, f"train/{TRAIN}.mp4")
    (entry,) = read_layout(kinetics_lists, "kinetics").entries
    assert entry.path == kinetics_lists / replacement


def test_test_lists_without_and_with_labels_are_one_list(kinetics_lists):
    write(
        kinetics_lists / "kinetics_600_test (2).csv",
        HEADER,
        "drinking beer,--65_UAU7ao,0,10,test",
        ",-unlabelled,7,17,test",
    )
    write(kinetics_lists / "own.csv", HEADER[6:], "-3B32lodo2M,59,69,val")
    touch(kinetics_lists, f"{TEST}.mp4", f"{TRAIN}.mp4", "-unlabelled_000007_000017.mp4")
    assert summary(read_layout(kinetics_lists, "kinetics")) == [
        ("-unlabelled_000007_000017.mp4", None, ("test",)),
        (f"abseiling/{TRAIN}.mp4", "abseiling", ("train", "val")),
        (f"drinking beer/{TEST}.mp4", "drinking beer", ("test",)),
    ]


def test_a_clip_of_two_classes_is_in_both(kinetics_lists):
    write(kinetics_lists / "more.csv", HEADER, "climbing,-3B32lodo2M,59,69,val")
    touch(kinetics_lists, f"abseiling/{TRAIN}.mp4")
    assert summary(read_layout(kinetics_lists, "kinetics")) == [
        (f"abseiling/{TRAIN}.mp4", "abseiling", ("train",)),
        (f"climbing/{TRAIN}.mp4", "climbing", ("val",)),
    ]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("kinetics-400_train.csv", "train"),
        ("kinetics_600_val (1).csv", "val"),
        ("validate.csv", "val"),
        ("kinetics700_test.CSV", "test"),
        ("kinetics600_holdout_test.csv", "holdout"),
    ],
)
def test_the_name_of_a_list_tells_the_split_where_no_column_does(tmp_path, name, split):
    write(tmp_path / name, "label,youtube_id,time_start,time_end", "yoga,abcdefghijk,3,13")
    touch(tmp_path, "yoga/abcdefghijk_000003_000013.mp4")
    (entry,) = read_layout(tmp_path, "kinetics").entries
    assert entry.splits == (split,)


def test_the_column_goes_before_the_name(tmp_path):
    rows = ["yoga,abcdefghijk,3,13,validate", "yoga,lmnopqrstuv,3,13,"]
    write(tmp_path / "train.csv", HEADER, *rows)
    touch(tmp_path, "abcdefghijk.mp4", "lmnopqrstuv.mp4")
    splits = [entry.splits for entry in read_layout(tmp_path, "kinetics").entries]
    assert splits == [("val",), ("train",)]


def test_other_csv_files_are_passed_over(kinetics_lists):
    touch(kinetics_lists, f"{VAL}.mp4", "empty.csv")
    write(kinetics_lists / "countix.csv", "video_id,class,count,split", "x,yoga,3,train")
    write(kinetics_lists / "deleted.csv", "label,youtube_id,time_start,time_end", "a,b,c,d")
    (kinetics_lists / "latin.csv").write_bytes(b"caf\xe9,1\n")
    assert summary(read_layout(kinetics_lists, "kinetics")) == [EXPECTED[4]]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("yoga,abcdefghijk,3", "the row has 3 fields, the header has 5"),
        ("yoga,abcdefghijk,three,13,train", "youtube_id is empty, or time_start or time_end"),
        ("yoga,abcdefghijk,3,,train", "youtube_id is empty, or time_start or time_end"),
        ("yoga,,3,13,train", "youtube_id is empty, or time_start or time_end"),
        ("yoga,abcdefghijk,3,13,somewhere", "the split is not train"),
    ],
)
def test_a_broken_row_is_named(tmp_path, row, problem):
    write(tmp_path / "train.csv", HEADER, "yoga,lmnopqrstuv,3,13,train", "", row)
    with pytest.raises(FastrotError, match=rf"train\.csv, line 4: {problem}"):
        read_layout(tmp_path, "kinetics")


def test_five_thousand_clips(tmp_path, monkeypatch):
    count = 5_000
    clips = [(f"class {i % 400:03d}", f"{i:011d}", i % 290) for i in range(count)]
    rows = [
        f"{label},{id_},{start},{start + 10},{'val' if i % 10 == 9 else 'train'}"
        for i, (label, id_, start) in enumerate(clips)
    ]
    write(tmp_path / "lists.csv", HEADER, *rows)
    # Every hundredth is absent. The tree is made up: so many files take long to make.
    folders: dict[str, list[str]] = {}
    for i, (label, id_, start) in enumerate(clips):
        if i % 100 != 50:
            name = f"{id_}_{start:06d}_{start + 10:06d}.mp4"
            folders.setdefault(f"{tmp_path}/{label.replace(' ', '_')}", []).append(name)
    tree = [(str(tmp_path), [], ["lists.csv"])]
    tree += [(folder, [], names) for folder, names in folders.items()]
    monkeypatch.setattr(os, "walk", lambda source, onerror: tree)
    listing = kinetics.read(tmp_path)
    assert len(listing.entries) == 4_950
    assert len({entry.name for entry in listing.entries}) == 4_950
    assert len(listing.missing) == 50
    assert listing.classes == [f"class {i:03d}" for i in range(400)]
    assert sum(entry.splits == ("val",) for entry in listing.entries) == 500
    for entry in listing.entries:
        folder, name = entry.name.split("/")
        assert entry.label == folder
        assert entry.path == tmp_path / folder.replace(" ", "_") / name


@pytest.mark.parametrize("suffix", [".mkv", ".mp4.webm", ".mp4.mkv"])
def test_converted_videos_are_found(kinetics_lists, suffix):
    touch(kinetics_lists, f"abseiling/{TRAIN}{suffix}", f"--65_UAU7ao{suffix}")
    assert summary(read_layout(kinetics_lists, "kinetics")) == [EXPECTED[0], EXPECTED[1]]


def test_several_files_of_one_clip_are_named(kinetics_lists):
    touch(kinetics_lists, f"a/{TRAIN}.mp4", f"b/{TRAIN}.mkv", f"other/{LATE}.mp4", "other/x.mp4")
    listing = read_layout(kinetics_lists, "kinetics")
    assert [entry.path.parent.name for entry in listing.entries] == ["a", "other"]
    (warning,) = listing.warnings
    assert warning.startswith("1 file skipped, because")
    assert f"a/{TRAIN}.mp4 instead of {kinetics_lists}/b/{TRAIN}.mkv" in warning
    assert listing.passed.names["unlisted videos"] == ["other/x.mp4"]


TWO = ["abseiling,-3B32lodo2M,59,69,train", "yoga,abcdefghijk,3,13,train"]


@pytest.mark.parametrize(
    "rows",
    [
        [TWO[0], "yoga,lmnopqrstuv,3,13,train"],  # another version: some clips are in both
        ["climbing,-3B32lodo2M,59,69,train"],  # other labels of the same clips
    ],
)
def test_two_versions_of_one_split_are_asked_about(tmp_path, rows):
    write(tmp_path / "k400/train.csv", HEADER, *TWO)
    write(tmp_path / "k600/train.csv", HEADER, *rows)
    with pytest.raises(UsageError, match=r"k400/train\.csv and .*k600/train\.csv differ"):
        read_layout(tmp_path, "kinetics")


def test_copies_and_parts_of_one_split_are_taken(tmp_path):
    write(tmp_path / "train.csv", HEADER, *TWO)
    shutil.copy(tmp_path / "train.csv", tmp_path / "train (1).csv")
    touch(tmp_path, f"{TRAIN}.mp4", "lmnopqrstuv.mp4")
    listing = read_layout(tmp_path, "kinetics")
    assert (len(listing.entries), listing.warnings) == (1, [])
    write(tmp_path / "train2.csv", HEADER, "yoga,lmnopqrstuv,3,13,train")
    listing = read_layout(tmp_path, "kinetics")
    assert [entry.splits for entry in listing.entries] == [("train",), ("train",)]
    (warning,) = listing.warnings
    assert warning.startswith("the split train combines 3 lists: ")
