import time
from contextlib import closing

import numpy as np
import pytest

from benchmarks.harness.inputs import Inputs
from benchmarks.harness.measure import NotHere
from benchmarks.loading import loader_limits as limits
from pipelines.plan import ClipSpec


@pytest.mark.parametrize("threads", [1, 2])
def test_copied_bytes_and_clips_agree(monkeypatch, threads):
    monkeypatch.setattr(limits, "RING_BYTES", 1 << 20)
    found = limits.copy_clips(ClipSpec(4, crop=16), 3, threads, 0.01)
    assert found["mb_per_s"] == pytest.approx(found["clips_per_s"] * 4 * 16 * 16 * 3 / 1e6)
    assert found["clips_per_s"] > 0


@pytest.mark.parametrize("codec", ["mjpeg", "vp9", "h264"])
def test_sequential_decoding_counts_frames_of_every_codec(codec, make_store, tmp_path):
    store = make_store(codec, size=128)
    videos = [3, 1]
    files = Inputs("", {codec: store}, np.array(videos), tmp_path).files(codec)
    given = dict(zip(videos, files, strict=True))
    found = limits.decode_sequentially(store, given, 5, 1, 0.01)
    assert found["frames_per_s"] == pytest.approx(5 * found["clips_per_s"])
    assert found["frames_per_s"] > 0
    decode = {"mjpeg": limits._decode_jpegs, "vp9": limits._decode_videos}
    with closing(decode.get(codec, limits._decode_with_pyav)(store, given, 2)) as decoded:
        # All of them and no others: once for each thread, but for single pictures.
        assert next(decoded) == store.frames[videos].sum() * (1 if codec == "mjpeg" else 2)


def test_raw_is_not_decoded(make_store):
    with pytest.raises(NotHere):
        limits.decode_sequentially(make_store("raw"), {}, 5, 1, 0.01)


def test_reading_through_a_store_reads_every_byte_once(make_store, monkeypatch):
    store = make_store("raw")
    seconds = iter([0.0, 2.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(seconds))
    shards = sum(path.stat().st_size for path in (store.path / "shards").iterdir())
    assert limits.read_through(store)["mb_per_s"] == pytest.approx(shards / 2 / 1e6)


def test_dropped_pages_are_read_again_unchanged(make_store):
    store = make_store("raw")
    path = store.shard_path(0)
    before = np.fromfile(path, dtype=np.uint8)
    limits.drop_from_cache(store)
    np.testing.assert_array_equal(np.fromfile(path, dtype=np.uint8), before)
    assert limits.read_from_end_to_end(store, cold=True)["mb_per_s"] > 0
