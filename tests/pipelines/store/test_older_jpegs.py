"""Stores with JPEGs by FFmpeg's encoder, as earlier versions wrote them, alone and mixed with new ones."""

import numpy as np
import pytest
import torch

import pipelines.prepare.encode
from benchmarks.tools.jpegs import ffmpeg_jpegs
from pipelines.loading.loader import Loader
from pipelines.plan import ClipSpec, EvalPlan
from pipelines.prepare.encode import encode
from pipelines.store.maintenance import extract, verify
from pipelines.store.reading import Settings, Store
from pipelines.store.shard_files import ShardFiles
from pipelines.store.stored_frames import read_packets
from pipelines.store.writing import writing
from tests.helpers import decode_with_pyav, moving_frames

SIZE, FRAMES = 48, 6
CLIPS = {
    f"{kind}{i}": moving_frames(FRAMES, SIZE, SIZE, i) for i in range(2) for kind in ("a", "b")
}


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Return a function that adds a clip to the store as an earlier or the present version does."""

    def add(name, *, earlier):
        with monkeypatch.context() as patch:
            if earlier:
                patch.setattr(pipelines.prepare.encode, "encode_jpegs", ffmpeg_jpegs)
            video = encode(CLIPS[name], "mjpeg", 2, 25)
        with writing(tmp_path, Settings("mjpeg", SIZE, None, "folder", (), 2)) as writer:
            writer.add(name, video, label=None, splits=())

    return add


def sampling_factors(store: Store, video: int) -> bytes:
    """Return the factors of the first frame's three components, a byte each."""
    (packet,), _ = read_packets(store, ShardFiles(), video, np.array([0]))
    at = packet.tobytes().index(b"\xff\xc0") + 11
    return packet[at : at + 9 : 3].tobytes()


@pytest.mark.parametrize("newer", [(), ("a1", "b1")])
def test_older_and_mixed_stores_are_read(tmp_path, add, newer):
    for name in CLIPS:
        add(name, earlier=name not in newer)
    store = Store.open(tmp_path)
    assert [sampling_factors(store, i) for i in range(len(store))] == [
        (b"\x11" if store.name(i) in newer else b"\x12") * 3 for i in range(len(store))
    ]
    assert not list(verify(store))
    plan = EvalPlan(store, store.select("all"), ClipSpec(FRAMES, crop=SIZE), clips_per_video=1)
    with Loader(store, plan, [(0, 4)], batch=4, device=torch.device("cpu")) as loader:
        batch = next(loader)
    for clip, video in zip(batch.clips.numpy(), batch.videos, strict=True):
        truth = CLIPS[store.name(int(video))]
        assert np.abs(clip.astype(int) - truth).mean() < 1.5
        assert np.abs(clip.astype(int) - truth[::-1]).mean() > 5


def test_an_older_and_a_newer_video_are_extracted(tmp_path, add):
    add("a0", earlier=True)
    add("b0", earlier=False)
    store = Store.open(tmp_path)
    for name in ("a0", "b0"):
        path = extract(store, name, tmp_path / f"{name}.avi")
        assert np.abs(decode_with_pyav(path, SIZE).astype(int) - CLIPS[name]).mean() < 1.5
