import io
from itertools import pairwise

import numpy as np
import pytest
import torch

from benchmarks.harness.inputs import Inputs
from benchmarks.harness.measure import NotHere
from benchmarks.loading import peers
from benchmarks.loading.dali_peers import numpy_reader, video_reader
from benchmarks.loading.ffmpeg import link_libraries
from pipelines.loading.loader import Loader
from pipelines.plan import ClipSpec, TrainPlan

SPEC = ClipSpec(frames=5, crop=48)
RANGES = [(0, 4), (4, 4), (8, 2)]


def ours(store) -> list[np.ndarray]:
    plan = TrainPlan(store, store.select("all"), SPEC, seed=3)
    with Loader(store, plan, RANGES, batch=4, device=torch.device("cpu")) as loader:
        return [batch.clips.numpy().copy() for batch in loader]


def theirs(store, tmp_path, decode) -> list[np.ndarray]:
    videos = store.select("all")
    files = Inputs("", {store.codec: store}, videos, tmp_path).files(store.codec)
    plan = TrainPlan(store, videos, SPEC, seed=3)
    batches = peers.PlannedBatches(
        dict(zip(videos.tolist(), files, strict=True)), plan, RANGES, decode
    )
    with peers.data_loader(batches, workers=1) as loader:
        return [batch.numpy() for batch in loader]


@pytest.mark.parametrize("peer", list(peers.DECODERS))
@pytest.mark.parametrize("codec", ["mjpeg", "vp9"])
def test_a_peer_decodes_the_very_clips_that_our_loader_gives(peer, codec, make_store, tmp_path):
    try:
        peers.require(peer)
    except NotHere as reason:
        pytest.skip(str(reason))
    store = make_store(codec, size=128)
    mine, others = ours(store), theirs(store, tmp_path, peers.DECODERS[peer])
    assert [batch.shape for batch in others] == [batch.shape for batch in mine]
    for a, b in zip(mine, others, strict=True):
        # Decoders and their colour conversions differ by a few levels; a clip of the next frame by
        # far more.
        off = np.abs(a.astype(int) - b.astype(int)).mean()
        assert off < 2.5
        later = [np.abs(x.astype(int) - y.astype(int)).mean() for x, y in pairwise(a[0])]
        assert off < min(later)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_give_the_batches_of_worker_processes_in_order(threads, make_store, tmp_path):
    store = make_store("raw", size=64)
    videos = store.select("all")
    files = Inputs("", {"raw": store}, videos, tmp_path).files("raw")
    plan = TrainPlan(store, videos, SPEC, seed=3)
    read = {video: file.read_bytes() for video, file in zip(videos.tolist(), files, strict=True)}

    def decode(file: bytes, start: int, count: int) -> np.ndarray:
        return np.load(io.BytesIO(file))[start : start + count]

    with peers.in_threads(peers.PlannedBatches(read, plan, RANGES, decode), threads) as loader:
        given = [batch.numpy() for batch in loader]
    for a, b in zip(ours(store), given, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("codec", ["mjpeg", "h264"])
def test_torchcodec_decodes_bytes_in_memory_like_a_file(codec, make_store, tmp_path):
    try:
        peers.require("torchcodec")
    except NotHere as reason:
        pytest.skip(str(reason))
    store = make_store(codec, size=128)
    (file, *_) = Inputs("", {codec: store}, store.select("all"), tmp_path).files(codec)
    np.testing.assert_array_equal(
        peers.decode_with_torchcodec(file.read_bytes(), 2, 3),
        peers.decode_with_torchcodec(file, 2, 3),
    )


def test_the_memory_map_gives_exactly_the_stored_frames(make_store, tmp_path):
    store = make_store("raw", size=64)
    for a, b in zip(ours(store), theirs(store, tmp_path, peers.slice_of_map), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_absent_peer_is_not_here_and_says_how_to_get_it(monkeypatch):
    def absent(name, *_):
        raise ImportError(name)

    monkeypatch.setattr("builtins.__import__", absent)
    with pytest.raises(NotHere, match=r"decord2 is not installed: pip install .*peers"):
        peers.require("decord2")


def test_ffmpegs_libraries_get_their_usual_names(tmp_path):
    for name in (
        "libavcodec-5e6b81c2.so.62.28.102",
        "libswscale-88e9f973.so.9.5.102",
        "libx264-d6.so.165",
    ):
        (tmp_path / name).touch()
    links = link_libraries(tmp_path, tmp_path / "links")
    assert [link.name for link in links] == ["libavcodec.so.62", "libswscale.so.9"]
    assert links[0].resolve() == tmp_path / "libavcodec-5e6b81c2.so.62.28.102"


def test_dalis_numpy_reader_gives_exactly_the_stored_frames(make_store, tmp_path):
    store = make_store("raw", size=64)
    videos = store.select("all")
    files = Inputs("", {"raw": store}, videos, tmp_path).files("raw")
    plan = TrainPlan(store, videos, SPEC, seed=3)
    by_video = dict(zip(videos.tolist(), files, strict=True))
    given = list(numpy_reader(by_video, plan, RANGES[:2], threads=1))
    for a, b in zip(ours(store), given, strict=False):
        np.testing.assert_array_equal(a, b.numpy())
    assert len(given) == 2


def test_dalis_video_reader_is_not_here_without_a_gpu(make_store):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    store = make_store("raw", size=64)
    plan = TrainPlan(store, store.select("all"), SPEC, seed=3)
    with pytest.raises(NotHere, match="needs a GPU"):
        next(video_reader([], plan, 2, 1, 1, size=64))
