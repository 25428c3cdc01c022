"""The lines that prepare ends with."""

from pathlib import Path

from fastrot.data.summary import summarise
from pipelines.layouts import Entry, Listing
from pipelines.prepare.preparation import Prepared

OUT = Path("store")


def entry(name, label=None, *splits):
    return Entry(Path(name), name, label, splits)


def prepared(found, **changes):
    values = {"already": 0, "added": found, "rejected": [], "missing": [], "in_store": found}
    return Prepared(found=found, **(values | changes))


def test_a_healthy_data_set_takes_four_lines():
    listing = Listing(
        [
            entry("a", "run", "train1", "test2"),
            entry("b", "jump", "train1"),
            entry("c", "run", "test1"),
        ],
        ["jump", "run"],
    )
    assert summarise(listing, prepared(3), OUT) == [
        "found        3 videos: 0 already stored, 3 added, 0 rejected, 0 rejected earlier",
        "stored       3 videos in store",
        "classes      2 (jump, run)",
        "splits       test1 1, test2 1, train1 2",
    ]


def test_what_is_wrong_is_named():
    listing = Listing(
        [entry("a", "run", "train"), entry("b", "c"), entry("x")],
        ["c", "jump", "run", "swim"],
        missing=["m1", "m2", "m3", "m4"],
        warnings=["the first", "the second"],
    )
    listing.passed.add("hidden folders", ".git")
    rejected = [(f"bad{i}", f"it is truncated: {i},000 bytes are there") for i in range(1, 5)] + [
        ("odd", "frame 7 is broken")
    ]
    result = prepared(
        20,
        already=5,
        rejected_before=2,
        added=10,
        in_store=13,
        rejected=rejected,
        damaged=[("a", 7), ("b", 1)],
    )
    assert summarise(listing, result, OUT) == [
        "found        20 videos: 3 already stored, 10 added, 5 rejected, 2 rejected earlier",
        "stored       13 videos in store",
        "rejected     4: it is truncated: ... bytes are there (bad1, bad2, bad3, ...)",
        "rejected     1: frame 7 is broken (odd)",
        "             see store/rejected*.jsonl; use --retry-rejected to retry them",
        "damaged      2 videos stored with damaged frames (a: 7 frames, b: 1 frame)",
        "not on disk  4 listed videos (m1, m2, m3, ...), see store/missing.txt",
        "classes      4 (c, jump, run, ...); 1 video without a class",
        "splits       train 1; 2 videos in no split",
        "ignored      hidden folders: 1 (.git)",
        "warning      the first",
        "warning      the second",
    ]


def test_many_reasons_stay_few_lines():
    reasons = [f"reason {chr(97 + i)}" for i in range(25)]
    rejected = [(f"{i}.avi", reason) for i, reason in enumerate([*reasons, reasons[9]])]
    lines = summarise(Listing([entry("a")]), prepared(27, rejected=rejected, added=1), OUT)
    of_rejected = [line for line in lines if line.startswith("rejected")]
    assert of_rejected[0] == "rejected     2: reason j (9.avi, 25.avi)"
    assert of_rejected[-1] == "rejected     20: 20 other reasons"
    assert len(of_rejected) == 6


def test_where_the_reasons_of_an_earlier_run_are_is_said_again():
    result = prepared(3, already=3, rejected_before=2, added=0, in_store=1)
    assert summarise(Listing([entry("a")]), result, OUT)[:3] == [
        "found        3 videos: 1 already stored, 0 added, 0 rejected, 2 rejected earlier",
        "stored       1 video in store",
        "rejected     see store/rejected*.jsonl; use --retry-rejected to retry them",
    ]


def test_unlabelled_videos_say_what_that_means():
    assert summarise(Listing([entry("a")]), prepared(1), OUT)[-2:] == [
        "classes      none (fine-tuning needs classes, pre-training does not)",
        "splits       none (use data.split=all)",
    ]
