"""Whatever a scraped folder may hold: prepare names each, never crashes or hangs; what it takes trains."""

import json
import os
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
import torch

from fastrot.config import from_mapping
from fastrot.training.run import train
from pipelines.layouts import read_layout
from pipelines.loading.loader import Loader
from pipelines.plan import ClipSpec, EvalPlan
from pipelines.prepare.preparation import prepare
from pipelines.shares import ALONE
from pipelines.shares import eval_ranges as ranges_for_test
from pipelines.store.codecs import CODECS
from pipelines.store.maintenance import verify
from pipelines.store.reading import Settings, Store
from tests.helpers import moving_frames, turn_on_its_side, write_video

GOOD = moving_frames(20, 48, 64)


def write_encoded(path, codec, pix_fmt, frames, *, times=None, **options):
    """Encode frames in any pixel format, at any times (in 1/1000 s)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, pixels in enumerate(frames):
            kind = "rgba" if pixels.shape[-1] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), kind)
            frame.pts = 40 * number if times is None else times[number]
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_audio(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        silence = np.zeros((1, 1024), dtype=np.float32)
        for number in range(8):
            frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, 1024 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Return a folder, and of each file's name whether it must be taken (None: as may be)."""
    root = tmp_path_factory.mktemp("corpus")
    fate = {}

    def put(name, taken, data=None):
        fate[name] = taken
        path = root / name
        if data is not None:
            path.write_bytes(data)
        return path

    sources = {
        suffix: write_video(root / f"whole.{suffix}", GOOD).read_bytes()
        for suffix in ("avi", "mp4", "mkv")
    }
    fate |= {f"whole.{suffix}": True for suffix in sources}
    for suffix, data in sources.items():
        for tenth in range(10):
            put(f"cut{tenth}.{suffix}", False, data[: len(data) * tenth // 10])
        rng = np.random.default_rng(len(data))
        flipped = bytearray(data)
        for place in rng.integers(0, len(data), 40):
            flipped[place] ^= 1 << rng.integers(8)
        put(f"flipped.{suffix}", None, bytes(flipped))
        put(f"random.{suffix}", False, rng.bytes(3000))
        put(f"zeros.{suffix}", False, bytes(3000))
    put("empty.mp4", False, b"")
    put("text.mov", False, b"this is no video\n" * 50)
    put("wrong.avi", True, sources["mp4"])
    put("wrong.webm", True, sources["avi"])
    lying = bytearray(sources["avi"])
    at = lying.index(b"avih") + 24
    lying[at : at + 4] = (10**6).to_bytes(4, "little")
    put("liar.avi", True, bytes(lying))
    write_audio(put("audio.m4v", False))
    lossless = ("png", "rgb24")
    write_encoded(put("one.mov", True), *lossless, GOOD[:1])
    for width in (1, 2, 3, 4097):
        tall = 1 if width == 1 else 2
        write_encoded(put(f"w{width}.mov", True), *lossless, moving_frames(3, tall, width))
    write_encoded(put("tall.mov", None), *lossless, moving_frames(3, 4097, 1))
    times = np.cumsum(np.random.default_rng(0).integers(1, 400, 20)).tolist()
    write_encoded(put("vfr.mkv", True), "mpeg4", "yuv420p", GOOD, times=times)
    turn_on_its_side(write_video(put("turned.mp4", True), GOOD), 90)
    write_encoded(put("deep.mkv", True), "ffv1", "yuv420p10le", GOOD)
    alpha = np.concatenate([GOOD, np.full_like(GOOD[..., :1], 100)], axis=-1)
    write_encoded(put("alpha.mov", True), "png", "rgba", alpha)
    put("unreadable.mp4", os.geteuid() == 0, sources["mp4"]).chmod(0)  # root reads it all the same
    put("folder.mp4", False).mkdir()
    put("dangling.mp4", False).symlink_to(root / "nowhere")
    put("loop.mp4", False).symlink_to(root / "loop.mp4")
    os.mkfifo(put("pipe.mp4", False))
    for name in (
        "a b.mp4",
        "it's.mp4",
        'quo"te.mp4',
        "new\nline.mp4",
        "ünï 映像 🎬.mp4",
        "-x.mp4",
        "%d.mp4",
    ):
        put(name, True, sources["mp4"])
    bytes_name = os.fsdecode(b"not\xffutf8.mp4")
    put(bytes_name, True, sources["mp4"])
    return root, fate


def test_everything_is_named_and_what_is_taken_trains(corpus, tmp_path, monkeypatch):
    root, fate = corpus
    listing = read_layout(root, "folder")
    assert sorted(entry.name for entry in listing.entries) == sorted(fate)
    settings = Settings("mjpeg", 40, None, "folder", quality=CODECS["mjpeg"].quality)
    result = prepare(listing, tmp_path / "store", settings, workers=2, time_limit=60)
    assert result.found == len(fate) == result.added + len(result.rejected)
    reasons = dict(result.rejected)
    for name, taken in fate.items():
        if taken is not None:
            assert (name not in reasons) == taken, (name, reasons.get(name))
    assert all(len(reason) > 10 for reason in reasons.values()), reasons
    store = Store.open(tmp_path / "store")
    assert sorted([store.name(i) for i in range(len(store))] + list(reasons)) == sorted(fate)
    assert list(verify(store)) == []
    plan = EvalPlan(store, store.select("all"), ClipSpec(frames=4, crop=31), clips_per_video=1)
    ranges = ranges_for_test(total=len(plan), batch=8, share=ALONE)
    with Loader(store, plan, ranges, batch=8, device=torch.device("cpu")) as loader:
        clips = [batch.clips for batch in loader]
    assert sum(map(len, clips)) == len(store)
    assert torch.cat(clips).float().std() > 1
    monkeypatch.setattr("fastrot.distributed.runtime.cores", lambda: 1)
    values: dict[str, Any] = {
        "name": "all",
        "out": str(tmp_path),
        "model": {"depth": 10, "width": 2},
    }
    values["data"] = {"store": str(store.path), "frames": 4, "crop": 31}
    values["train"] = {"batch": len(store), "iterations": 2, "log_every": 1}
    train(from_mapping(values), quiet=True)
    lines = map(json.loads, (tmp_path / "all" / "metrics.jsonl").read_text().splitlines())
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 2
    assert np.isfinite(losses).all()


def test_the_command_prints_any_name(corpus, tmp_path, capfd):
    """Names that are no text must not break the printing either, nor train's log."""
    from fastrot.cli import main

    root, _ = corpus
    few = tmp_path / "few"
    few.mkdir()
    for name in (os.fsdecode(b"not\xffutf8.mp4"), "new\nline.mp4", "zeros.avi"):
        (few / name).write_bytes((root / name).read_bytes())
    (few / os.fsdecode(b"bad\xff.mp4")).write_bytes(b"")
    store = str(tmp_path / "store")
    assert main(["prepare", str(few), "--out", store, "--size", "40", "--workers", "1"]) == 0
    assert main(["store", "ls", store]) == 0
    out = capfd.readouterr().out
    assert "found        4 videos: " in out
    assert "bad\\udcff.mp4" in out
