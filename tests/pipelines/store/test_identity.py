"""Which file a video was made from, and files that cannot be read."""

import errno
import json
import os

import pytest

from pipelines.errors import FastrotError, UnreadableError
from pipelines.layouts import read_layout
from pipelines.prepare.preparation import prepare
from pipelines.store import identity
from pipelines.store.reading import Store
from tests.pipelines.prepare.reviewing import (
    film,
    run,
    settings,
)


def test_an_identity_is_the_size_and_both_ends(tmp_path):
    path = tmp_path / "a.bin"
    data = bytearray(os.urandom(200_000))
    hashes = set()
    for at in (None, 0, 65_535, 199_999, 134_465):
        changed = bytearray(data)
        if at is not None:
            changed[at] ^= 1
        path.write_bytes(changed)
        hashes.add(identity.sight(path, "s").origin().hash)
    assert len(hashes) == 5
    middle = bytearray(data)
    middle[100_000] ^= 1
    path.write_bytes(middle)
    assert identity.sight(path, "s").origin().hash in hashes  # only 128 kB are read
    path.write_bytes(b"")
    assert identity.sight(path, "s").origin().bytes == 0
    os.mkfifo(tmp_path / "pipe.avi")
    assert identity.sight(tmp_path / "pipe.avi", "s").origin().hash == "-"


def test_an_origin_survives_its_text():
    for source, before in (("/a b/c", ()), ("", ("/x y", "/z\n\udc80"))):
        origin = identity.Origin(source, 5, -3, "-", before)
        assert identity.Origin.from_text(origin.to_text()) == origin
        assert json.loads(json.dumps(origin.to_text())) == origin.to_text()


def test_a_file_that_cannot_be_read_is_tried_at_every_run(source, tmp_path, decoded):
    out = tmp_path / "store"
    link = source / "a" / "x.avi"
    link.symlink_to(link)  # "Too many levels of symbolic links"
    for _ in range(2):
        del decoded[:]
        ((name, reason),) = run(source, out).rejected
        assert name == "a/x.avi"
        assert "cannot be read: Too many levels" in reason
        assert "x.avi" in decoded
    link.unlink()
    film(link, 5)
    assert (run(source, out).added, Store.open(out).rejected) == (1, 0)


def test_a_mount_that_is_lost_rejects_nothing(source, tmp_path):
    out = tmp_path / "store"
    listing = read_layout(source, "folder")
    source.rename(tmp_path / "away")
    with pytest.raises(UnreadableError, match=r"prepare stops"):
        prepare(listing, out, settings(listing.classes))
    assert (out / "rejected.jsonl").read_bytes() == b""
    source = (tmp_path / "away").rename(source)
    run(source, out)
    source.rename(tmp_path / "away")
    with pytest.raises(UnreadableError, match=r"a/0\.avi cannot be read \(No such file"):
        prepare(listing, out, settings(listing.classes))


def test_too_many_open_files_reject_nothing(source, tmp_path, monkeypatch):
    out = tmp_path / "store"
    run(source, out)

    def refuse(self):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    for path in source.rglob("*.avi"):
        os.utime(path, (1, 1))
    monkeypatch.setattr(identity.Sighting, "origin", refuse)
    with pytest.raises(UnreadableError, match=r"Too many open files: raise `ulimit -n`"):
        run(source, out)


def test_a_damaged_manifest_is_named(source, tmp_path):
    out = tmp_path / "store"
    run(source, out)
    manifest = out / "manifest.jsonl"
    good = manifest.read_text()
    for values in (
        {"revision": "x"},
        {"revision": 1},
        {"origin": "x"},
        {"origin": "5 x - /"},
        {"origin": 5},
    ):
        line = {**json.loads(good.splitlines()[0]), **values}
        if values == {"revision": 1}:
            del line["shard"]
        manifest.write_text(good + json.dumps(line) + "\n")
        if "revision" in values:
            with pytest.raises(FastrotError, match=r"manifest.* is damaged"):
                Store.open(out)
        with pytest.raises(FastrotError, match=r"manifest.* is damaged"):
            run(source, out)
    manifest.write_text(good)
    with (out / "rejected.jsonl").open("a") as file:
        file.write('{"name": "a/0.avi", "origin": "x"}\n')
    with pytest.raises(FastrotError, match=r"rejected.*jsonl is damaged"):
        run(source, out)


def test_an_unchanged_file_is_not_read_again(source, tmp_path, monkeypatch):
    run(source, tmp_path / "store")
    lines = (tmp_path / "store" / "manifest.jsonl").read_bytes()
    monkeypatch.setattr(identity.Sighting, "origin", None)  # a call would be a TypeError
    assert run(source, tmp_path / "store").already == 4
    assert (tmp_path / "store" / "manifest.jsonl").read_bytes() == lines


def test_stores_of_earlier_versions_are_completed_and_made_new_in_nothing(
    source, tmp_path, decoded
):
    out = tmp_path / "store"
    bad = source / "b" / "bad.avi"
    bad.write_bytes(b"RIFF")
    run(source, out)
    for name in ("manifest.jsonl", "rejected.jsonl"):
        lines = [json.loads(line) for line in (out / name).read_text().splitlines()]
        for line in lines:
            del line["origin"]
            line.pop("revision", None)
        (out / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert len(Store.open(out)) == 4
    del decoded[:]
    assert (run(source, out).already, decoded) == (5, [])
    assert len(Store.open(out)) == 4
    film(source / "b" / "1.avi", 33)
    film(bad, 34)
    result = run(source, out)
    assert (result.added, result.replaced, sorted(decoded)) == (
        2,
        ["b/1.avi"],
        ["1.avi", "bad.avi"],
    )
