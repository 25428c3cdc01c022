"""Reading the packets that a clip needs, and their checksums; stores of older formats."""

import io
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.errors import FastrotError
from pipelines.prepare import encode as encoding
from pipelines.prepare.encode import GOP, encode
from pipelines.store.codecs import CODECS
from pipelines.store.maintenance import drop, merge, verify
from pipelines.store.packet_index import PADDING, read_groups
from pipelines.store.reading import Settings, Store
from pipelines.store.shard_files import ShardFiles
from pipelines.store.shard_writing import PACKET, packets_path
from pipelines.store.spool import Spool
from pipelines.store.writing import writing
from tests.helpers import moving_frames
from tests.pipelines.store.old_formats import of_format


@pytest.fixture(params=["h264", "vp9"])
def store(make_store, tmp_path, request):
    shutil.copytree(make_store(request.param, size=128).path, tmp_path / "store")
    return Store.open(tmp_path / "store")


def packets_by_ffmpeg(store, video):
    """Return the bytes of each packet."""
    data = ShardFiles().read_video(store, video).tobytes()
    with av.open(io.BytesIO(data)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def longest(store):
    return int(np.argmax(store.frames))


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_a_long_video_in_a_temporary_file_is_indexed_alike(tmp_path, codec):
    frames, quality = list(moving_frames(20, 128, 128)), CODECS[codec].quality
    short = encode(frames, codec, quality, 25.0)
    long = encode(frames, codec, quality, 25.0, Spool(tmp_path / "spool", memory=1000))
    assert isinstance(long.data, Path)
    assert long.data.read_bytes() == short.data
    np.testing.assert_array_equal(long.index, short.index)
    assert long.header == short.header


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    ("numbers", "parts"),
    [
        ([3, 4, 5], [(0, 6)]),
        ([20, 22, 23], [(16, 8)]),
        ([6, 7, 8, 9], [(0, 10)]),
        ([38, 39, 38, 37], [(32, 8)]),
        ([2, 34], [(0, 3), (32, 3)]),
        ([10, 18, 26, 34], [(8, 3), (16, 3), (24, 3), (32, 3)]),
        ([39, 0], [(0, 1), (32, 8)]),
    ],
)
def test_only_the_packets_from_the_key_frames_are_read(store, numbers, parts, old):
    store = of_format(store, 2) if old else store
    video = longest(store)
    found, header, read = read_groups(store, ShardFiles(), video, np.array(numbers))
    assert [(part.first, len(part.starts) - 1) for part in found] == parts
    packets = packets_by_ffmpeg(store, video)
    for part in found:
        for i, (begin, end) in enumerate(zip(part.starts, part.starts[1:], strict=False)):
            assert part.data[begin:end].tobytes() == packets[part.first + i]
        memory = part.data if part.data.base is None else part.data.base
        assert memory.nbytes >= part.starts[-1] + PADDING
    sizes = [sum(map(len, packets[first : first + count])) for first, count in parts]
    assert read == (store.bytes[video] if old else sum(sizes))
    assert bool(header) == (store.codec == "h264")


@pytest.mark.parametrize("gop", [16, 40])
def test_groups_of_any_length_are_read(tmp_path, monkeypatch, gop):
    """Earlier versions wrote groups of 16 frames, and longer ones begin before the records read at first."""
    monkeypatch.setattr(encoding, "GOP", gop)
    settings = Settings("h264", 128, None, "folder", quality=20)
    with writing(tmp_path, settings) as writer:
        for i in range(2):
            video = encode(list(moving_frames(48, 128, 128, i)), "h264", 20, 25.0)
            writer.add(str(i), video, label=None, splits=())
    store = Store.open(tmp_path)
    packets = packets_by_ffmpeg(store, 1)
    for number in (0, 15, 16, 39, 40, 47):
        (part,), _, _ = read_groups(store, ShardFiles(), 1, np.array([number]))
        first = number // gop * gop
        assert (part.first, len(part.starts) - 1) == (first, number - first + 1)
        assert part.data.tobytes() == b"".join(packets[first : number + 1])


def flip(path, at):
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 16]))


def test_damage_is_found_by_the_clips_of_its_group_only(store):
    video = longest(store)
    index = np.fromfile(packets_path(store.shard_path(video)), PACKET)[int(store.index[video]) :]
    flip(store.shard_path(video), int(index["start"][20] + index["bytes"][20] // 2))
    files = ShardFiles()

    def read(*numbers):
        return read_groups(store, files, video, np.array(numbers))

    for numbers in ([0, 15], [16, 19], [24, 39]):  # other groups, and the same one before it
        read(*numbers)
    reason = rf"{store.name(video)}.* is damaged: frames 16 to 2\d do not match their checksum"
    for numbers in ([20], [18, 21], [0, 23]):
        with pytest.raises(FastrotError, match=reason):
            read(*numbers)
    read_groups(store, files, video, np.array([20]), check=False)
    assert list(dict(verify(store))) == [store.name(video)]


@pytest.mark.parametrize("byte", range(PACKET.itemsize))
def test_a_damaged_index_is_found_by_the_clip_and_by_verify(store, byte):
    video = longest(store)
    path = packets_path(store.shard_path(video))
    flip(path, PACKET.itemsize * (int(store.index[video]) + 20) + byte)
    with pytest.raises(FastrotError, match=rf"{store.name(video)}.* is damaged"):
        read_groups(store, ShardFiles(), video, np.array([20]))
    assert dict(verify(store)) == {
        store.name(video): "its bytes are intact, but its index of packets is not"
    }


def test_a_store_with_an_index_is_merged_and_videos_are_removed(store):
    manifest = store.path / "manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(lines[:3]))
    (store.path / "manifest-2of2.jsonl").write_text("".join(lines[3:]))
    assert merge(store.path) == 1
    merged = Store.open(store.path)
    assert list(verify(merged)) == []
    drop(merged, {merged.name(1): "not wanted"})
    rest = Store.open(store.path)
    assert len(rest) == 5
    for video in range(5):
        packets = packets_by_ffmpeg(rest, video)
        (part,), _, _ = read_groups(rest, ShardFiles(), video, np.array([len(packets) - 1]))
        assert part.data[part.starts[-2] : part.starts[-1]].tobytes() == packets[-1]
        assert part.first == (len(packets) - 1) // GOP * GOP
