"""A small file of chosen packets decodes to the frames of the whole file, by FFmpeg and by DALI."""

import io

import av
import numpy as np
import pytest

from pipelines.loading.dali_graph import import_dali
from pipelines.store.mp4_writing import mp4_file
from pipelines.store.packet_index import read_groups
from pipelines.store.shard_files import ShardFiles

NUMBERS = {
    "middle": [18, 19, 20],
    "two groups": [14, 15, 16, 17],
    "end": [38, 39],
    "turns back": [37, 38, 39, 38, 37],
    "wide stride": [0, 33],
    "one": [0],
}


def decode_with_ffmpeg(data):
    with av.open(io.BytesIO(bytes(data))) as container:
        return np.stack([frame.to_ndarray() for frame in container.decode(video=0)])


def decode_with_dali(data):
    dali = import_dali()
    pipeline = dali.Pipeline(batch_size=1, num_threads=1, device_id=None)
    with pipeline:
        files = dali.fn.external_source(source=lambda: [np.frombuffer(data, np.uint8)], batch=True)
        pipeline.set_outputs(dali.fn.decoders.video(files, device="cpu"))
    pipeline.build()
    (output,) = pipeline.run()
    return np.array(output.as_tensor())[0]


def small_and_whole(store, numbers):
    video = int(np.argmax(store.frames))
    assert store.frames[video] == 40
    files = ShardFiles()
    parts, header, _ = read_groups(store, files, video, np.array(numbers))
    kept = [part.first + i for part in parts for i in range(len(part.starts) - 1)]
    small = mp4_file(store.codec, store.size, header, parts)
    return small, files.read_video(store, video), kept


@pytest.mark.parametrize("numbers", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_ffmpeg_decodes_a_small_file_to_the_frames_of_the_whole(make_store, codec, numbers):
    small, whole, kept = small_and_whole(make_store(codec, size=128), numbers)
    assert set(numbers) <= set(kept)
    assert len(small) < 0.9 * len(whole)
    np.testing.assert_array_equal(decode_with_ffmpeg(small), decode_with_ffmpeg(whole)[kept])


@pytest.mark.parametrize("numbers", NUMBERS.values(), ids=NUMBERS)
def test_dali_decodes_a_small_file_to_the_frames_of_the_whole(make_store, numbers):
    small, whole, kept = small_and_whole(make_store("vp9", size=128), numbers)
    np.testing.assert_array_equal(decode_with_dali(small), decode_with_dali(whole)[kept])


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_key_frames_are_marked(make_store, codec):
    small, _, kept = small_and_whole(make_store(codec, size=128), NUMBERS["wide stride"])
    assert kept == [0, 32, 33]
    with av.open(io.BytesIO(bytes(small))) as container:
        assert container.streams.video[0].frames == 3
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert [packet.is_keyframe for packet in packets] == [True, True, False]
