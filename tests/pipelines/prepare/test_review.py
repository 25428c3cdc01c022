"""A second prepare: labels that follow the lists, replaced videos, clashes, copies, rejected videos."""

import contextlib
import dataclasses
import json
import shutil
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import FastrotError, UsageError
from pipelines.layouts import Entry, Listing, read_layout
from pipelines.layouts.entry import File
from pipelines.prepare import preparation
from pipelines.prepare.preparation import prepare
from pipelines.store import json_lines
from pipelines.store.maintenance import drop, extract, merge, verify
from pipelines.store.reading import Store
from pipelines.store.writing import writing
from tests.helpers import decode_with_pyav
from tests.pipelines.prepare.reviewing import (
    SIZE,
    film,
    frames_of,
    run,
    settings,
)


def test_labels_and_splits_follow_the_lists_without_decoding(source, tmp_path, decoded):
    out = tmp_path / "store"
    run(source, out)
    assert Store.open(out).labels.tolist() == [0, 0, 1, 1]
    del decoded[:]
    shard = (out / "shards" / "00000.npy").read_bytes()
    found = read_layout(source, "folder")
    corrected = [
        dataclasses.replace(
            entry, label="new" if entry.name == "a/0.avi" else entry.label, splits=("train1",)
        )
        for entry in found.entries
    ]
    changed = dataclasses.replace(found, entries=corrected, classes=["a", "b", "new"])
    result = prepare(changed, out, settings(changed.classes))
    assert (result.already, result.added, decoded) == (4, 0, [])
    assert len(result.relabelled) == 4
    assert result.relabelled[0] == "a/0.avi: a (no split) -> new (train1)"
    store = Store.open(out)
    assert store.classes == ["a", "b", "new"]
    assert store.labels.tolist() == [2, 0, 1, 1]
    assert store.splits == {"train1": 4}
    assert (out / "shards" / "00000.npy").read_bytes() == shard
    # Back again: the old numbers, and no trace of the split.
    run(source, out)
    store = Store.open(out)
    assert store.labels.tolist() == [0, 0, 1, 1]
    assert store.splits == {}
    with pytest.raises(UsageError, match=r"no split 'train1': choose one of all"):
        store.select("train1")
    assert list(verify(store)) == []


def test_parts_correct_labels_that_other_manifests_have(source, tmp_path):
    """The first run is in one part, the second in two, the third in three, each with other labels."""
    out = tmp_path / "store"
    run(source, out)
    found = read_layout(source, "folder")
    for parts, split in ((2, "x"), (3, "y"), (2, "z")):
        entries = [dataclasses.replace(entry, splits=(split,)) for entry in found.entries]
        listing = dataclasses.replace(found, entries=entries)
        for i in reversed(range(1, parts + 1)):
            result = prepare(listing, out, settings(found.classes), part=(i, parts))
            assert result.added == 0
        assert Store.open(out).splits == {split: 4}
    before = Store.open(out)
    merge(out)
    after = Store.open(out)
    assert after.splits == {"z": 4}
    assert (out / "manifest.jsonl").read_text().count("\n") == 4
    np.testing.assert_array_equal(before.crc32, after.crc32)
    assert list(verify(after)) == []


def test_a_replaced_video_is_made_again_and_the_new_one_is_seen(source, tmp_path, decoded):
    out = tmp_path / "store"
    run(source, out)
    del decoded[:]
    film(source / "a" / "2.avi", 9, count=6)
    result = run(source, out)
    assert (result.already, result.added, result.replaced) == (3, 1, ["a/2.avi"])
    assert decoded == ["2.avi"]
    truth = decode_with_pyav(source / "a" / "2.avi", SIZE)
    for merged in (False, True):
        if merged:
            assert merge(out) == 0
        store = Store.open(out)
        assert (len(store), store.rejected) == (4, 0)
        np.testing.assert_array_equal(frames_of(store, "a/2.avi"), truth)
        assert list(verify(store)) == []
    path = extract(store, "a/2.avi", tmp_path)
    np.testing.assert_array_equal(decode_with_pyav(path, SIZE), truth)
    assert run(source, out).already == 4


def test_a_replacement_that_does_not_decode_leaves_the_old_video(source, tmp_path, decoded):
    out = tmp_path / "store"
    run(source, out)
    before = Store.open(out).crc32.tolist()
    (source / "a" / "2.avi").write_bytes(b"RIFF, and nothing more")
    ((name, reason),) = run(source, out).rejected
    assert name == "a/2.avi"
    assert "the store keeps its previous version" in reason
    store = Store.open(out)
    assert (store.crc32.tolist(), store.rejected) == (before, 0)
    del decoded[:]
    assert (run(source, out).already, decoded) == (4, [])  # not tried at every run
    film(source / "a" / "2.avi", 9)
    assert run(source, out).replaced == ["a/2.avi"]


def test_a_copied_or_moved_tree_is_not_made_again(source, tmp_path, decoded):
    out = tmp_path / "store"
    run(source, out)
    del decoded[:]
    shutil.copytree(source, tmp_path / "copy", copy_function=shutil.copyfile)  # other times
    source.rename(tmp_path / "moved")
    for place in ("copy", "moved"):
        result = run(tmp_path / place, out)
        assert (result.already, decoded, result.relabelled) == (4, [], [])
    # What is replaced at any of its places is a replacement; the copy is then another data set's.
    film(tmp_path / "copy" / "a" / "0.avi", 7)
    assert run(tmp_path / "copy", out).replaced == ["a/0.avi"]
    with pytest.raises(UsageError, match="--replace"):
        run(tmp_path / "moved", out)


def test_a_second_source_with_the_same_names_is_refused_before_decoding(source, tmp_path, decoded):
    out, other = tmp_path / "store", tmp_path / "other"
    run(source, out)
    del decoded[:]
    for name in ("a/0.avi", "a/9.avi", "c/1.avi"):
        film(other / name, 20 + len(name) + ord(name[2]))
    files = {path: path.read_bytes() for path in out.rglob("*.json*")}
    with pytest.raises(
        UsageError, match=rf"1 videos in {other}, such as 'a/0\.avi'.*from {source}.*--prefix NAME"
    ):
        run(other, out)
    assert decoded == []
    assert files == {path: path.read_bytes() for path in out.rglob("*.json*")}
    listing = read_layout(other, "folder").prefixed("other")
    assert prepare(listing, out, settings(listing.classes)).added == 3
    store = Store.open(out)
    assert len(store) == 7
    np.testing.assert_array_equal(
        frames_of(store, "other/a/0.avi"), decode_with_pyav(other / "a/0.avi", SIZE)
    )
    assert run(other, out, replace_clashing=True).replaced == ["a/0.avi"]
    np.testing.assert_array_equal(
        frames_of(Store.open(out), "a/0.avi"), decode_with_pyav(other / "a/0.avi", SIZE)
    )


def test_rejected_videos_are_tried_again_when_replaced_or_asked(source, tmp_path, decoded):
    out, path = tmp_path / "store", source / "a" / "0.avi"
    good = path.read_bytes()
    path.write_bytes(good[:1000])
    assert [name for name, _ in run(source, out).rejected] == ["a/0.avi"]
    (line,) = (out / "rejected.jsonl").read_text().splitlines()
    assert "truncated" in json.loads(line)["reason"]
    del decoded[:]
    assert (run(source, out).already, decoded) == (4, [])
    assert [name for name, _ in run(source, out, retry_rejected=True).rejected] == ["a/0.avi"]
    path.write_bytes(good)
    result = run(source, out)
    assert (result.already, result.added, result.replaced) == (3, 1, [])
    store = Store.open(out)
    assert (len(store), store.rejected) == (4, 0)


def test_videos_that_left_the_source_are_named_and_stay(source, tmp_path):
    out = tmp_path / "store"
    run(source, out)
    (source / "a" / "0.avi").rename(source / "b" / "0.avi")
    result = run(source, out)
    assert (result.added, result.absent) == (1, ["a/0.avi"])
    assert len(Store.open(out)) == 5
    drop(Store.open(out), {"a/0.avi": "removed"})
    result = run(source, out)
    assert (result.already, result.absent) == (4, [])


def test_dropped_videos_stay_dropped_however_many_lines_they_had(source, tmp_path, decoded):
    out = tmp_path / "store"
    run(source, out)
    film(source / "a" / "0.avi", 9)
    run(source, out, part=(1, 2))
    drop(Store.open(out), {"a/0.avi": "its checksum is wrong"})
    store = Store.open(out)
    assert (len(store), store.rejected) == (3, 1)
    del decoded[:]
    assert (run(source, out).already, decoded) == (4, [])
    assert run(source, out, retry_rejected=True).added == 1
    assert list(verify(Store.open(out))) == []


def test_appending_after_a_merge_keeps_the_bytes_of_relabelled_videos(source, tmp_path):
    """The last video's line is a superseding one: the shard must not be cut before its end."""
    out = tmp_path / "store"
    run(source, out)
    found = read_layout(source, "folder")
    entries = [dataclasses.replace(entry, splits=("s",)) for entry in found.entries]
    prepare(dataclasses.replace(found, entries=entries), out, settings(found.classes))
    merge(out)
    film(source / "a" / "8.avi", 8)
    run(source, out)
    store = Store.open(out)
    assert len(store) == 5
    data = store.shard_path(0).read_bytes()
    for i in range(5):
        assert zlib.crc32(data[store.offset[i] :][: store.bytes[i]]) == store.crc32[i]


def test_a_torn_superseding_line_leaves_the_older_one(source, tmp_path):
    out = tmp_path / "store"
    run(source, out)
    manifest = out / "manifest.jsonl"
    whole = manifest.read_bytes()
    found = read_layout(source, "folder")
    entries = [dataclasses.replace(entry, splits=("s",)) for entry in found.entries]
    listing = dataclasses.replace(found, entries=entries)
    prepare(listing, out, settings(found.classes))
    # Killed in the middle of the third of four new lines.
    new = manifest.read_bytes()[len(whole) :].splitlines(keepends=True)
    manifest.write_bytes(whole + b"".join(new[:2]) + new[2][:30])
    assert Store.open(out).splits == {"s": 2}
    assert len(prepare(listing, out, settings(found.classes)).relabelled) == 2
    assert Store.open(out).splits == {"s": 4}


def test_classes_are_not_added_by_opening(source, tmp_path):
    out = tmp_path / "store"
    run(source, out)
    with writing(out, settings(["a", "b", "c"])) as writer:
        assert Store.open(out).classes == ["a", "b"]
        writer.add_classes()
    assert Store.open(out).classes == ["a", "b", "c"]


def listing_of(count):
    """Return a data set of many videos whose files are never read."""
    folder = Path("/videos/a class of some name")
    names = [f"a video of some name {number:06d}.mp4" for number in range(count)]
    return Listing([Entry(File(folder, name), name) for name in names], source=folder)


def peak_of(listing, out):
    """Return the most memory in bytes that preparing a quarter of the videos takes, without decoding them."""
    tracemalloc.start()
    try:
        with contextlib.suppress(FastrotError):  # the store has no video yet
            prepare(listing, out, settings(), part=(1, 4))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_part_of_a_large_data_set_takes_little_more_memory_than_its_list(tmp_path, monkeypatch):
    """Each task of a Slurm array lists all videos, perhaps half a million, and prepares a part."""
    monkeypatch.setattr(preparation, "run_isolated", lambda *_, **__: (one for one in ()))
    count = 40_000
    peak = peak_of(listing_of(count), tmp_path)
    assert peak / count < 40, f"{peak / count:.0f} bytes"


def test_a_part_does_not_keep_the_lines_of_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "run_isolated", lambda *_, **__: (one for one in ()))
    monkeypatch.setattr(json_lines, "CHUNK_BYTES", 10_000)
    count = 8_000
    listing = listing_of(count)
    lines = [
        {
            "name": entry.name,
            "shard": "2of4-00000.npy",
            "offset": number,
            "bytes": 1,
            "index": number,
        }
        | {"frames": 1, "crc32": 1, "fps": 25.0, "origin": f"1 1 {'0' * 32} {listing.source}"}
        for number, entry in enumerate(listing.entries)
        if number % 4
    ]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (tmp_path / "manifest-2of4.jsonl").write_text(text)
    peak = peak_of(listing, tmp_path)
    assert peak / count < 350, f"{peak / count:.0f} bytes"
