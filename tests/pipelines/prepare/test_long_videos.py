"""What a long video costs while it is prepared: a bounded memory, and a temporary file that goes away."""

import os
import signal
import time
import weakref
import zlib
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import FastrotError
from pipelines.layouts import read_layout
from pipelines.prepare import preparation as prepare_module
from pipelines.prepare.encode import encode
from pipelines.prepare.preparation import prepare
from pipelines.prepare.transcode import Job, transcode
from pipelines.prepare.workers import run_isolated
from pipelines.store.codecs import CODECS
from pipelines.store.maintenance import verify
from pipelines.store.reading import Settings, Store
from pipelines.store.shard_writing import NPY_HEADER_BYTES, checksums_path
from pipelines.store.spool import Spool, SpoolError
from pipelines.store.writing import writing
from tests.helpers import moving_frames, write_video

SIZE = 128


def settings(codec, frames=None, size=SIZE):
    return Settings(codec, size, frames, "folder", quality=CODECS[codec].quality)


def prepare_folder(source, out, chosen, **options):
    return prepare(read_layout(source, "folder"), out, chosen, **options)


def files_in(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("frames", [None, 9])
@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_video_that_went_by_a_file_is_stored_as_one_that_did_not(videos, tmp_path, codec, frames):
    chosen = settings(codec, frames)
    for name, memory in (("memory", 1 << 30), ("disk", 1000)):
        with writing(tmp_path / name, chosen) as writer:
            for number, path in enumerate(sorted(videos.rglob("video*"))[:2]):
                video = transcode(Job(path, chosen, writer.spools, number, memory))
                assert isinstance(video.data, Path) == (name == "disk")
                writer.add(path.name, video, label=None, splits=())
    assert files_in(tmp_path / "memory") == files_in(tmp_path / "disk")
    store = Store.open(tmp_path / "disk")
    assert list(verify(store)) == []
    shard = store.shard_path(0).read_bytes()
    for i in range(2):
        data = shard[store.offset[i] : store.offset[i] + store.bytes[i]]
        assert zlib.crc32(data) == store.crc32[i]
    if codec == "raw":
        sums = np.fromfile(checksums_path(store.shard_path(0)), "<u4")
        whole = np.frombuffer(shard[NPY_HEADER_BYTES:], np.uint8).reshape(-1, 3 * SIZE**2)
        assert sums.tolist() == [zlib.crc32(frame.tobytes()) for frame in whole]


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_an_encoder_holds_a_few_frames_at_a_time(codec):
    alive = weakref.WeakSet()
    most = 0

    class Frame(np.ndarray):
        """An array that a WeakSet can hold."""

        __hash__ = object.__hash__
        __eq__ = object.__eq__

    def frames():
        nonlocal most
        for frame in moving_frames(40, SIZE, SIZE):
            mine = frame.view(Frame)
            alive.add(mine)
            yield mine
            del mine
            most = max(most, len(alive))

    video = encode(frames(), codec, CODECS[codec].quality, 25.0)
    assert video.frames == 40
    assert 1 <= most <= 4


@pytest.mark.parametrize("count", [0, 1, 20])
@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_video_that_breaks_off_while_it_is_encoded_says_so(codec, count):
    def frames():
        yield from moving_frames(20, SIZE, SIZE)[:count]
        raise FastrotError("it breaks off")

    with pytest.raises(FastrotError, match="it breaks off"):
        encode(frames(), codec, CODECS[codec].quality, 25.0)


def peak_kb():
    """Return the peak memory of this process in kB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")


def peak_of_storing(paths):
    """Decode, encode and store a video, with a megabyte of it in memory; return the process's peak so far."""
    source, out = paths
    chosen = settings("raw")
    with writing(out, chosen) as writer:
        video = transcode(Job(source, chosen, writer.spools, memory=1_000_000))
        writer.add(source.name, video, label=None, splits=())
    return peak_kb()


def test_the_peak_of_memory_does_not_follow_the_length(tmp_path):
    """800 raw frames of 128x128 are 39 MB."""
    frames = moving_frames(50, 32, 32)
    items = [
        (write_video(tmp_path / "short.avi", frames), tmp_path / "short"),
        (write_video(tmp_path / "long.avi", np.tile(frames, (16, 1, 1, 1))), tmp_path / "long"),
    ]
    peaks = dict(run_isolated(peak_of_storing, items, workers=1))
    assert Store.open(tmp_path / "long").bytes.tolist() == [800 * 3 * SIZE**2]
    assert peaks[1] - peaks[0] < 10_000


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_full_disk_is_not_the_videos_fault(videos, tmp_path, codec):
    (path,) = videos.rglob("video0*")
    (tmp_path / "0").symlink_to("/dev/full")
    with pytest.raises(SpoolError, match="No space left"):
        transcode(Job(path, settings(codec), tmp_path, memory=1000))


def test_a_full_disk_stops_prepare_and_rejects_nothing(videos, tmp_path, monkeypatch):
    (tmp_path / "0").symlink_to("/dev/full")

    def on_a_full_disk(path, settings, spools, number):
        return Job(path, settings, tmp_path, memory=1000)

    monkeypatch.setattr(prepare_module, "Job", on_a_full_disk)
    with pytest.raises(FastrotError, match=r"store cannot be written: .*/0: No space left"):
        prepare_folder(videos, tmp_path / "store", settings("raw"))
    assert (tmp_path / "store" / "rejected.jsonl").read_text() == ""
    assert not (tmp_path / "store" / ".spool").exists()


def test_what_a_killed_prepare_left_is_no_part_of_the_store_and_goes_away(videos, tmp_path):
    out, chosen = tmp_path / "store", settings("mjpeg")
    (path,) = videos.rglob("video0*")
    with writing(out, chosen) as writer:
        writer.add("a", transcode(Job(path, chosen)), label=None, splits=())
    for spools in (".spool", ".spool-2of2"):
        (out / spools).mkdir()
        (out / spools / "left").write_bytes(b"half a video")
    store = Store.open(out)
    assert len(store) == 1
    assert list(verify(store)) == []
    with writing(out, chosen) as writer:
        assert not (out / ".spool").exists()
        assert writer.add("b", transcode(Job(path, chosen)), label=None, splits=()).offset > 0
    assert (out / ".spool-2of2" / "left").exists()  # of another node's part, which may be at work


def write_and_fail(job, source):
    """Begin a temporary file, and fail or crash in the middle."""
    Spool(job.spool, memory=10).write(b"half a video")
    assert job.spool.exists()
    if job.path.name == "video0.avi":
        os.kill(os.getpid(), signal.SIGKILL)
    raise FastrotError("it is damaged")


def test_videos_that_fail_leave_no_file_while_the_others_go_on(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_module, "_transcode", write_and_fail)
    left = []

    def progress(done, total):
        left.append(list((tmp_path / "store").rglob(".spool/*/*")))

    for name in ("video0.avi", "video2.avi"):
        (tmp_path / "source").mkdir(exist_ok=True)
        (tmp_path / "source" / name).symlink_to(videos / "class0" / name)
    with pytest.raises(FastrotError, match=r"none of the 2 videos.*SIGKILL.*it is damaged"):
        prepare_folder(tmp_path / "source", tmp_path / "store", settings("raw"), progress=progress)
    assert left == [[]] * 3


def take_for_ever(job, source):
    time.sleep(600)


def test_a_video_that_takes_too_long_is_rejected_with_the_way_out(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_module, "_transcode", take_for_ever)
    (path,) = videos.rglob("video0*")
    with pytest.raises(
        FastrotError, match=r"limit of 0\.5 s: increase --time-limit and use --retry-rejected"
    ):
        prepare_folder(path, tmp_path / "store", settings("raw"), time_limit=0.5)
