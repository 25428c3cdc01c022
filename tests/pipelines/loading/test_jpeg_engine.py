"""The comparison of decoders, with the CPU's decoder in place of a GPU's."""

import io
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.errors import FastrotError
from pipelines.loading import jpeg_engine
from pipelines.loading.jpeg_engine import (
    CROP,
    SAMPLE_SIZE,
    check_engine,
    decode,
    engine_differences,
    first_packets,
    sample_jpeg,
    spread,
)
from pipelines.prepare.jpeg import encode_jpegs
from pipelines.store.codecs import CODECS
from pipelines.store.reading import Store
from tests.pipelines.jpeg_segments import segments

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def engine(monkeypatch):
    """Return a list of the frames given to a stand-in of the GPU, which adds ``error`` to every pixel."""

    def install(error):
        seen = []

        def stand_in(jpegs, crop, device):
            if device.type == "cpu":
                return decode(jpegs, crop, device)
            seen.extend(jpegs)
            errors = np.zeros((len(jpegs), 1, 1, 1))
            errors[-1] = error
            return decode(jpegs, crop, CPU) + errors

        monkeypatch.setattr(jpeg_engine, "decode", stand_in)
        return seen

    return install


def test_frames_are_decoded_as_by_another_decoder(make_store):
    store = make_store("mjpeg", size=48)
    jpegs = list(first_packets(store, store.select("all")).values())
    right = np.stack([np.asarray(Image.open(io.BytesIO(jpeg.tobytes()))) for jpeg in jpegs])
    frames = decode(jpegs, 40, CPU)
    assert frames.shape == (6, 40, 40, 3)
    right = right[:, 4:44, 4:44]
    assert np.abs(frames - right).mean() < 0.5
    assert np.abs(frames[0] - right[1]).mean() > 5


def waves():
    """Return the sample's frame: in each colour, waves that shorten from corner to corner."""
    y, x = np.mgrid[:SAMPLE_SIZE, :SAMPLE_SIZE] / SAMPLE_SIZE
    ways = (x + y, 1 + x - y, 2 - x - y / 2)
    values = [127.5 + 100 * np.sin(np.pi * SAMPLE_SIZE / 48 * way**2) for way in ways]
    return np.stack(values, axis=-1).astype(np.uint8)


def test_the_sample_is_what_the_encoder_writes():
    sample = sample_jpeg()
    (today,) = encode_jpegs([waves()], CODECS["mjpeg"].quality)
    for segment in (0xDB, 0xC0):  # quantisation, and size, sampling factors and tables
        assert segments(sample.tobytes())[segment] == segments(today)[segment]
    right = waves()[12:124, 12:124]
    assert np.abs(decode([sample], CROP, CPU)[0] - right).mean() < 2


def test_a_right_decoder_passes(make_store, engine):
    store = make_store("mjpeg", size=48)
    seen = engine(error=2.9)
    check_engine(store, store.select("all"), GPU, 40)
    assert len(seen) == 6


def test_a_wrong_decoder_is_an_error_that_names_the_video_and_the_remedy(make_store, engine):
    store = make_store("mjpeg", size=48)
    engine(error=3.1)
    with pytest.raises(FastrotError) as error:
        check_engine(store, store.select("train1"), GPU, 40)
    assert store.name(int(store.select("train1")[-1])) in str(error.value)
    for word in ("cuda:0", str(store.path), "3.1 of 255", "data.hw_decoder_load=0"):
        assert word in str(error.value)


@pytest.mark.parametrize(("codec", "device"), [("raw", GPU), ("mjpeg", CPU)])
def test_nothing_is_decoded_where_no_hardware_decoder_is_used(make_store, engine, codec, device):
    store = make_store(codec, size=48)
    seen = engine(error=200)
    check_engine(store, store.select("all"), device, 40)
    assert not seen


def test_damaged_frames_are_left_to_the_loader(make_store, engine, tmp_path):
    made = make_store("mjpeg", size=48)
    shutil.copytree(made.path, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    with store.shard_path(0).open("r+b") as shard:
        shard.seek(int(store.offset[0]) + 200)
        shard.write(bytes(8))
    seen = engine(error=0)
    check_engine(store, np.arange(2), GPU, 40)
    assert len(seen) == 1
    seen.clear()
    check_engine(store, np.arange(1), GPU, 40)
    assert not seen


def test_what_cannot_be_decoded_is_left_to_the_loader_and_hides_no_wrong_frame(
    make_store, engine, monkeypatch
):
    store = make_store("mjpeg", size=48)
    packets = first_packets(store, store.select("all"))
    packets[2] = np.frombuffer(b"no JPEG", dtype=np.uint8)
    monkeypatch.setattr(jpeg_engine, "first_packets", lambda store, videos: packets)
    engine(error=0)
    check_engine(store, store.select("all"), GPU, 40)
    engine(error=200)
    with pytest.raises(FastrotError, match="is wrong about"):
        check_engine(store, store.select("all"), GPU, 40)


def test_videos_are_spread_over_the_store():
    np.testing.assert_array_equal(spread(np.arange(100, 103)), [100, 101, 102])
    chosen = spread(np.arange(1000))
    assert len(chosen) == 8
    assert (chosen[0], chosen[-1]) == (0, 999)
    assert np.ptp(np.diff(chosen)) <= 1


@pytest.mark.gpu
def test_the_hardware_decoder_reads_a_stores_jpegs_as_the_cpu_does(make_store):
    store = make_store("mjpeg", size=136)
    jpegs = list(first_packets(store, store.select("all")).values())
    assert engine_differences(jpegs, CROP, GPU).max() <= 1
    check_engine(store, store.select("all"), GPU)
