"""Stores of older formats become what a new store is, without decoding."""

import json
import shutil

import pytest

from pipelines.errors import FastrotError
from pipelines.prepare.encode import encode
from pipelines.store.maintenance import drop, verify
from pipelines.store.reading import Store
from pipelines.store.shard_writing import packets_path
from pipelines.store.upgrade import upgrade
from pipelines.store.writing import writing
from tests.helpers import moving_frames
from tests.pipelines.store.old_formats import of_format


@pytest.fixture
def copy(make_store, tmp_path):
    def make(codec):
        shutil.copytree(make_store(codec, size=128).path, tmp_path / "store")
        return Store.open(tmp_path / "store")

    return make


def files_of(store):
    """Return the content of all files by name, that of the manifest parsed."""
    files = {path.name: path.read_bytes() for path in store.path.rglob("*") if path.is_file()}
    lines = [json.loads(line) for line in files.pop("manifest.jsonl").splitlines()]
    return files, lines


@pytest.mark.parametrize("codec", ["raw", "mjpeg", "h264", "vp9"])
@pytest.mark.parametrize("old", [1, 2])
def test_an_upgraded_store_is_like_a_new_one(copy, codec, old):
    store = copy(codec)
    new = files_of(store)
    before = of_format(store, old)
    assert files_of(before) != new
    assert list(verify(before)) == []
    assert upgrade(before)
    assert files_of(store) == new
    assert not upgrade(Store.open(store.path))


def test_progress_counts_the_videos(copy):
    calls = []
    upgrade(of_format(copy("vp9"), 2), lambda *done: calls.append(done))
    assert calls == [(done, 6) for done in range(7)]


def test_a_damaged_video_is_named_and_nothing_changed(copy):
    old = of_format(copy("h264"), 2)
    with old.shard_path(2).open("r+b") as file:
        file.seek(int(old.offset[2]) + 200)
        file.write(b"damaged")
    before = files_of(old)
    with pytest.raises(FastrotError, match=rf"{old.name(2)}.* is damaged.*verify .* --fix"):
        upgrade(old)
    assert files_of(old) == before
    drop(old, {old.name(2): "damaged"})
    assert upgrade(Store.open(old.path))
    assert list(verify(Store.open(old.path))) == []


def test_a_store_is_not_upgraded_while_it_is_written(copy):
    old = of_format(copy("h264"), 2)
    with (
        writing(old.path, old.settings),
        pytest.raises(FastrotError, match="another process is writing"),
    ):
        upgrade(old)


def test_an_older_store_is_continued_in_its_format_and_upgraded_later(copy, make_store):
    """What is appended to a store of format 2 has no index until the store is upgraded."""
    whole = make_store("h264", size=128)
    old = of_format(copy("h264"), 2)
    video = encode(list(moving_frames(20, 128, 128)), "h264", whole.settings.quality, 25.0)
    with writing(old.path, whole.settings) as writer:
        assert writer.settings.format == 2
        writer.add("new", video, label=None, splits=())
    assert "header" not in (old.path / "manifest.jsonl").read_text()
    assert not packets_path(old.shard_path(0)).exists()
    assert upgrade(old)
    with writing(old.path, whole.settings) as writer:
        assert writer.settings.format == 3
        writer.add("newer", video, label=None, splits=())
    store = Store.open(old.path)
    assert len(store) == 8
    assert list(verify(store)) == []
