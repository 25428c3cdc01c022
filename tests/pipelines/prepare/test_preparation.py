import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest

from pipelines.errors import FastrotError, UsageError
from pipelines.layouts import Listing, read_layout
from pipelines.prepare.preparation import choose_quality, prepare
from pipelines.prepare.transcode import even_indices
from pipelines.store.codecs import CODECS
from pipelines.store.reading import Settings, Store
from pipelines.store.shard_writing import offsets_path
from pipelines.store.writing import writing
from tests.helpers import decode_with_pyav, moving_frames, write_video


def settings(codec="raw", frames=None, **others):
    quality = CODECS[codec].quality
    return Settings(codec, size=40, frames=frames, layout="folder", quality=quality, **others)


def prepare_folder(source, out, **options):
    chosen = options.pop("settings", settings())
    return prepare(read_layout(source, "folder"), out, chosen, **options)


def test_even_indices_by_hand():
    assert even_indices(10, 4) == [0, 2, 5, 7]
    assert even_indices(300, 160)[:4] == [0, 1, 3, 5]
    assert even_indices(3, 4) == [0, 1, 2]  # fewer frames than asked for: all are kept
    assert even_indices(3, None) == [0, 1, 2]


def test_counts_add_up_and_bad_files_are_set_aside(videos, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    good = sorted(videos.rglob("video*"))[:2]
    for path in good:
        (source / path.name).symlink_to(path)
    data = good[0].read_bytes()
    (source / "cut.avi").write_bytes(data[: len(data) // 2])
    (source / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(4000))
    (source / "empty.mkv").touch()
    (source / "README.md").write_text("no video")
    calls = []
    result = prepare_folder(
        source, tmp_path / "store", workers=2, progress=lambda *done: calls.append(done)
    )
    assert (result.found, result.already, result.added) == (5, 0, 2)
    reasons = dict(result.rejected)
    assert sorted(reasons) == ["cut.avi", "empty.mkv", "noise.mp4"]
    assert "truncated" in reasons["cut.avi"]
    assert "empty" in reasons["empty.mkv"]
    assert "FFmpeg cannot decode the file" in reasons["noise.mp4"]
    assert calls == [(i, 5) for i in range(6)]
    store = Store.open(tmp_path / "store")
    assert len(store) == 2
    assert store.rejected == 3
    again = prepare_folder(source, tmp_path / "store")
    assert (again.found, again.already, again.added, again.rejected) == (5, 5, 0, [])


def test_nothing_prepared_is_an_error(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.avi").write_bytes(b"RIFF")
    with pytest.raises(FastrotError, match=r"none of the 1 videos could be prepared.*a\.avi"):
        prepare_folder(source, tmp_path / "store")


def test_other_settings_are_refused_by_name(videos, tmp_path):
    (video,) = videos.rglob("video2*")
    prepare_folder(video, tmp_path / "store")
    with pytest.raises(
        UsageError, match=r"codec: raw in the store, mjpeg requested.*: use --codec raw, or"
    ):
        prepare_folder(video, tmp_path / "store", settings=settings("mjpeg"))


def test_a_store_is_resumed_at_its_own_quality(videos, tmp_path):
    """Defaults change between versions."""
    made = dataclasses.replace(settings("mjpeg"), quality=7)
    prepare_folder(videos, tmp_path / "store", settings=made)
    assert choose_quality(tmp_path / "store", "mjpeg", None) == 7
    assert choose_quality(tmp_path / "store", "mjpeg", 3) == 3
    assert choose_quality(tmp_path / "store", "vp9", None) == CODECS["vp9"].quality
    assert choose_quality(tmp_path / "new", "mjpeg", None) == CODECS["mjpeg"].quality
    with pytest.raises(UsageError, match="supports 1"):
        choose_quality(tmp_path / "store", "mjpeg", 32)
    with pytest.raises(FastrotError, match=r"cannot be read: .*name too long"):
        choose_quality(tmp_path / ("x" * 300), "mjpeg", None)


def test_an_invalid_quality_of_a_store_is_named(videos, tmp_path):
    prepare_folder(videos, tmp_path, settings=settings("mjpeg"))
    file = tmp_path / "store.json"
    made = file.read_text()
    file.write_text(made.replace('"quality": 2', '"quality": 99'))
    with pytest.raises(FastrotError, match=r"store\.json is damaged: .*quality is 99, .* 1 to 31"):
        choose_quality(tmp_path, "mjpeg", None)
    file.write_text(made.replace('"quality": 2', '"quality": null'))
    with pytest.raises(UsageError, match=r"quality: None in the store, 2 requested\): choose"):
        prepare_folder(videos, tmp_path, settings=settings("mjpeg"))


def test_classes_grow_and_old_ones_keep_their_numbers(videos, tmp_path):
    def of(label):
        return read_layout(videos / label, "folder").entries

    def listing(*labels):
        entries = [
            dataclasses.replace(entry, name=f"{label}/{entry.name}", label=label)
            for label in labels
            for entry in of(label)
        ]
        return Listing(entries, sorted(labels))

    out = tmp_path / "store"
    for labels in (["class1"], ["class0", "class1"], ["class0"], []):
        found = listing(*labels)
        chosen = settings(classes=tuple(found.classes))
        if labels:
            prepare(found, out, chosen)
        else:
            with writing(out, chosen):
                pass
    store = Store.open(out)
    assert store.classes == ["class1", "class0"]
    assert [store.name(i).split("/")[0] for i in range(6)] == ["class0"] * 3 + ["class1"] * 3
    assert store.labels.tolist() == [1, 1, 1, 0, 0, 0]


def test_a_header_that_lies_about_the_length_is_not_believed(tmp_path):
    """An AVI whose header claims 444 frames but has 21: the even choice is made among the 21."""
    path = write_video(tmp_path / "liar.avi", moving_frames(21, 48, 64))
    data = bytearray(path.read_bytes())
    at = data.index(b"avih") + 8 + 16  # dwTotalFrames
    data[at : at + 4] = (444).to_bytes(4, "little")
    path.write_bytes(data)
    prepare_folder(path, tmp_path / "store", settings=settings(frames=7))
    store = Store.open(tmp_path / "store")
    assert store.frames.tolist() == [7]
    shard = np.load(store.shard_path(0))
    np.testing.assert_array_equal(shard, decode_with_pyav(path, 40)[::3])


def test_a_raw_shard_is_a_numpy_file_of_pyavs_frames(make_store, videos):
    store = make_store("raw")
    shard = np.load(store.shard_path(0), mmap_mode="r")
    assert shard.shape == (store.frames.sum(), 40, 40, 3)
    for i in range(len(store)):
        frames = shard[store.index[i] : store.index[i] + store.frames[i]]
        np.testing.assert_array_equal(frames, decode_with_pyav(videos / store.name(i), 40))


def test_checksums_and_offsets_describe_the_bytes(make_store):
    store = make_store("mjpeg")
    data = store.shard_path(0).read_bytes()
    starts = np.fromfile(offsets_path(store.shard_path(0)), dtype="<u8").tolist()
    assert len(starts) == store.frames.sum()
    for i in range(len(store)):
        video = data[store.offset[i] : store.offset[i] + store.bytes[i]]
        assert zlib.crc32(video) == store.crc32[i]
    assert all(data[start : start + 2] == b"\xff\xd8" for start in starts)  # each is a JPEG's start


def test_shards_roll_over(videos, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.store.writing.SHARD_BYTES", 40 * 40 * 3 * 50)
    prepare_folder(
        videos, tmp_path / "store", workers=2, settings=settings(classes=("class0", "class1"))
    )
    store = Store.open(tmp_path / "store")
    assert len(store.shards) > 2
    for i in range(len(store)):
        frames = np.load(store.shard_path(i))[store.index[i] : store.index[i] + store.frames[i]]
        np.testing.assert_array_equal(frames, decode_with_pyav(videos / store.name(i), 40))


def test_splits_and_labels(make_store):
    store = make_store("raw")
    assert store.splits == {"test1": 2, "train1": 4}
    assert store.select("all").tolist() == [0, 1, 2, 3, 4, 5]
    assert store.select("test1").tolist() == [4, 5]
    assert [store.name(i).split("/")[0] for i in range(6)] == ["class0"] * 3 + ["class1"] * 3
    assert store.labels.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(UsageError, match=r"no split 'val': choose one of all, test1, train1"):
        store.select("val")


def test_a_torn_manifest_line_and_unpromised_bytes_are_dropped(videos, tmp_path):
    out = tmp_path / "store"
    listing = read_layout(videos, "folder")
    chosen = settings("mjpeg", classes=tuple(listing.classes))
    prepare(listing, out, chosen)
    whole = Store.open(out)
    manifest = (out / "manifest.jsonl").read_bytes()
    lines = manifest.splitlines(keepends=True)
    (out / "manifest.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:20])
    with (out / "shards" / "00000.mjpeg").open("ab") as shard:
        shard.write(b"half a video")
    assert len(Store.open(out)) == 3
    result = prepare(listing, out, chosen)
    assert (result.already, result.added) == (3, 3)
    mended = Store.open(out)
    assert sorted(mended.crc32.tolist()) == sorted(whole.crc32.tolist())
    assert (out / "shards" / "00000.mjpeg").stat().st_size == whole.bytes.sum()
    assert len(np.fromfile(out / "shards" / "00000.mjpeg.offsets", "<u8")) == whole.frames.sum()


def test_size_and_time_are_estimated_from_the_first_videos(videos, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.prepare.preparation.ESTIMATE_AFTER", 2)
    source = tmp_path / "source"
    source.mkdir()
    (good,) = videos.rglob("video2*")  # 12 frames of 40x40
    for i in range(5):
        (source / f"{i}.avi").symlink_to(good)
    notes = []
    prepare_folder(source, tmp_path / "store", note=notes.append)
    (note,) = notes
    # 5 videos x 12 frames x 40 x 40 x 3 bytes
    assert "estimate from 2 videos: 288 kB and 0:" in note
    assert note.endswith("for all 5")


@pytest.mark.parametrize("after", [1, 3])
def test_a_killed_prepare_goes_on_where_it_was(videos, tmp_path, after):
    """SIGKILL once the manifest has some lines; the next run adds the rest and loses none."""
    source, out = tmp_path / "source", tmp_path / "store"
    source.mkdir()
    for copy in range(4):
        for path in videos.rglob("video*"):
            (source / f"{copy}_{path.name}").symlink_to(path)
    command = [sys.executable, "-m", "fastrot", "prepare", str(source), "--out", str(out)]
    command += ["--codec", "raw", "--size", "40", "--workers", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    manifest = out / "manifest.jsonl"
    deadline = time.monotonic() + 60
    while not manifest.exists() or manifest.read_bytes().count(b"\n") < after:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = [
        json.loads(line)["name"]
        for line in manifest.read_bytes().splitlines(keepends=True)
        if line.endswith(b"\n")
    ]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    assert f"24 videos: {len(kept)} already stored" in result.stdout
    store = Store.open(out)
    assert len(store) == 24
    for i in range(0, 24, 5):
        frames = np.load(store.shard_path(i))[store.index[i] : store.index[i] + store.frames[i]]
        np.testing.assert_array_equal(frames, decode_with_pyav(source / store.name(i), 40))


def test_a_store_that_cannot_be_written_is_named(videos, tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(FastrotError, match=r"the store .*file/store cannot be written"),
        writing(tmp_path / "file" / "store", settings()),
    ):
        pass


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda out: (out / "store.json").unlink(), "is not a store"),
        (lambda out: (out / "store.json").write_text("{"), "store.json cannot be read"),
        (lambda out: (out / "store.json").write_text('{"format": 99}'), "not in store format"),
        (
            lambda out: (out / "manifest.jsonl").write_text("{]\n"),
            "manifest.jsonl, line 1 is damaged",
        ),
        (lambda out: (out / "manifest.jsonl").write_text('{"name": 1}\n'), "damaged"),
    ],
)
def test_a_damaged_store_says_which_file(videos, tmp_path, damage, message):
    (video,) = videos.rglob("video2*")
    prepare_folder(video, tmp_path / "store")
    damage(tmp_path / "store")
    with pytest.raises(FastrotError, match=message):
        Store.open(tmp_path / "store")
