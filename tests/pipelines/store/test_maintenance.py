import contextlib
import json
import os
import resource
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.errors import FastrotError, UnreadableError, UsageError
from pipelines.layouts import read_layout
from pipelines.prepare.encode import encode
from pipelines.prepare.preparation import prepare
from pipelines.store.codecs import CODECS
from pipelines.store.maintenance import drop, extract, merge, verify
from pipelines.store.reading import Settings, Store
from pipelines.store.shard_writing import offsets_path
from pipelines.store.writing import writing
from tests.helpers import decode_with_pyav, moving_frames


@pytest.fixture
def copy(make_store, tmp_path):
    shutil.copytree(make_store("mjpeg").path, tmp_path / "store")
    return Store.open(tmp_path / "store")


def flip_a_bit(store, video):
    with store.shard_path(video).open("r+b") as file:
        file.seek(int(store.offset[video]) + 40)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def test_verify_finds_one_flipped_bit_and_a_truncated_shard(copy):
    assert list(verify(copy)) == []
    last = int(np.argmax(copy.offset))
    other = (last + 1) % len(copy)
    flip_a_bit(copy, other)
    with copy.shard_path(last).open("r+b") as file:
        file.truncate(int(copy.offset[last]) + 5)
    calls = []
    found = dict(verify(copy, progress=lambda *done: calls.append(done)))
    assert sorted(found) == sorted([copy.name(last), copy.name(other)])
    assert "checksum" in found[copy.name(other)]
    assert "truncated" in found[copy.name(last)]
    assert calls[-1] == (6, 6)


def test_dropped_videos_are_listed_and_can_be_made_again(copy, videos):
    flip_a_bit(copy, 2)
    broken = dict(verify(copy))
    drop(copy, broken)
    after = Store.open(copy.path)
    assert (len(after), after.rejected) == (5, 1)
    assert copy.name(2) not in [after.name(i) for i in range(5)]
    assert list(verify(after)) == []
    listing = read_layout(videos, "folder")
    result = prepare(listing, copy.path, copy.settings, retry_rejected=True)
    assert (result.already, result.added) == (5, 1)
    mended = Store.open(copy.path)
    assert (len(mended), mended.rejected) == (6, 0)
    assert list(verify(mended)) == []


@pytest.mark.parametrize("codec", ["raw", "mjpeg"])
def test_extract_gives_a_file_with_the_stored_frames(make_store, videos, tmp_path, codec):
    store = make_store(codec)
    path = extract(store, store.name(1), tmp_path)
    assert path.stem == store.name(1).split("/")[1].split(".")[0]
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    expected = decode_with_pyav(videos / store.name(1), 40)
    error = np.abs(np.stack(frames).astype(int) - expected)
    assert error.max() == 0 if codec == "raw" else error.mean() < 2
    assert list(tmp_path.iterdir()) == [path]  # no temporary file stays


def test_extract_overwrites_nothing_and_keeps_dots_in_names(copy, tmp_path):
    original = tmp_path / "video0.avi"
    original.write_bytes(b"the only copy")
    with pytest.raises(FastrotError, match=r"video0\.avi already exists"):
        extract(copy, "class0/video0.avi", tmp_path)
    assert original.read_bytes() == b"the only copy"
    assert extract(copy, "class0/video0.avi", tmp_path / "film.part1").name == "film.part1.avi"


def test_verify_finds_offsets_that_point_elsewhere(copy):
    path = offsets_path(copy.shard_path(0))
    starts = np.fromfile(path, "<u8")
    video = 3
    starts[copy.index[video] + 2] += 1
    starts.tofile(path)
    assert dict(verify(copy)) == {copy.name(video): "its frame offsets do not point at JPEGs"}


def test_two_writers_of_one_part_are_kept_apart(copy):
    with (
        writing(copy.path, copy.settings),
        pytest.raises(FastrotError, match=r"another process is writing.*--shard"),
        writing(copy.path, copy.settings),
    ):
        pass
    with writing(copy.path, copy.settings), writing(copy.path, copy.settings, "1of2"):
        pass  # parts do not wait for each other
    with (
        writing(copy.path, copy.settings),
        pytest.raises(FastrotError, match=r"another process is writing"),
    ):
        merge(copy.path)
    with (
        writing(copy.path, copy.settings, "1of2"),
        pytest.raises(FastrotError, match=r"another process is writing"),
    ):
        drop(copy, {copy.name(0): "broken"})
    assert len(Store.open(copy.path)) == 6


def test_extract_names_a_near_video(copy, tmp_path):
    with pytest.raises(UsageError, match=r"did you mean 'class0/video0\.avi'"):
        extract(copy, "class0/vide0.avi", tmp_path)


def test_parts_written_at_the_same_time_are_one_store(videos, tmp_path):
    listing = read_layout(videos, "folder")
    settings = Settings(
        "mjpeg", 40, None, "folder", tuple(listing.classes), CODECS["mjpeg"].quality
    )
    out = tmp_path / "store"

    def part(i):
        return prepare(listing, out, settings, part=(i, 3))

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(part, (1, 2, 3)))
    assert [result.added for result in results] == [2, 2, 2]
    before = Store.open(out)
    assert len(before) == 6
    assert part(2).already == 2  # a part that is run again has nothing to do
    assert merge(out) == 3
    after = Store.open(out)
    assert [after.name(i) for i in range(6)] == [before.name(i) for i in range(6)]
    assert list(verify(after)) == []
    assert sorted(path.name for path in out.glob("*.jsonl")) == ["manifest.jsonl", "rejected.jsonl"]
    # a later run, complete or in parts, continues with the merged store
    assert prepare(listing, out, settings).already == 6
    assert part(1).already == 2


def test_a_part_goes_on_in_its_own_shard_after_a_merge(videos, tmp_path):
    listing = read_layout(videos, "folder")
    settings = Settings("raw", 40, None, "folder", tuple(listing.classes))
    out = tmp_path / "store"
    few = type(listing)(listing.entries[:4], listing.classes)
    for i in (1, 2):
        prepare(few, out, settings, part=(i, 2))
    merge(out)
    for i in (1, 2):
        assert prepare(listing, out, settings, part=(i, 2)).added == 1
    store = Store.open(out)
    assert len(store) == 6
    assert list(verify(store)) == []
    assert len(store.shards) == 2


def test_a_merge_killed_half_way_loses_and_doubles_nothing(videos, tmp_path):
    listing = read_layout(videos, "folder")
    settings = Settings("raw", 40, None, "folder", tuple(listing.classes))
    out = tmp_path / "store"
    for i in (1, 2):
        prepare(listing, out, settings, part=(i, 2))
    part = (out / "manifest-1of2.jsonl").read_bytes()
    merge(out)
    (out / "manifest-1of2.jsonl").write_bytes(part)  # as if killed before it was removed
    assert len(Store.open(out)) == 6
    merge(out)
    lines = (out / "manifest.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["name"] for line in lines) == sorted(
        entry.name for entry in listing.entries
    )


@pytest.mark.parametrize("beside", ["", ".offsets", ".crc32"])
def test_what_cannot_be_opened_is_an_error_and_no_damage(copy, beside):
    """A missing mount and too many open files look alike: neither means that the bytes are damaged."""
    shard = copy.shard_path(0)
    path = shard.with_name(shard.name + beside)
    before = {file: file.read_bytes() for file in copy.path.glob("*.jsonl")}
    data = path.read_bytes()
    path.unlink()
    with pytest.raises(UnreadableError, match=rf"{path}.*No such file.*no video is removed"):
        list(verify(copy))
    assert before == {file: file.read_bytes() for file in copy.path.glob("*.jsonl")}
    path.write_bytes(b"")  # the way out that the message names
    assert len(list(verify(copy))) == 6
    path.write_bytes(data)
    assert list(verify(copy)) == []


def test_verify_needs_few_files(tmp_path, monkeypatch):
    """24 shards of three files each: 20 open files are enough, and with none nothing is damage."""
    monkeypatch.setattr("pipelines.store.writing.SHARD_BYTES", 1)
    settings = Settings("mjpeg", 16, None, "folder", quality=CODECS["mjpeg"].quality)
    video = encode(list(moving_frames(2, 16, 16)), "mjpeg", settings.quality, 25.0)
    with writing(tmp_path / "store", settings) as writer:
        for i in range(24):
            writer.add(f"{i}.avi", video, label=None, splits=())
    store = Store.open(tmp_path / "store")
    assert len(store.shards) == 24
    files = {path: path.read_bytes() for path in store.path.glob("*.jsonl")}
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
        taken = []
        with contextlib.suppress(OSError):
            while True:
                taken.append(stack.enter_context(Path(os.devnull).open()))
        with pytest.raises(UnreadableError, match=r"Too many open files: raise `ulimit -n`"):
            list(verify(store))
        for file in taken[:20]:
            file.close()
        assert list(verify(store, threads=2)) == []
    assert files == {path: path.read_bytes() for path in store.path.glob("*.jsonl")}
