"""Where packets are, against FFmpeg's own demuxer, and files that cannot be decoded group by group."""

import io

import av
import numpy as np
import pytest

from pipelines.prepare.encode import GOP, encode
from pipelines.store.codecs import CODECS
from pipelines.store.mp4_tables import find_packets
from tests.helpers import moving_frames

FRAMES = list(moving_frames(2 * GOP + 5, 128, 128))


def encoded(codec):
    return encode(FRAMES, codec, CODECS[codec].quality, 25).data


def written(options, container_options=None):
    """Encode frames with other options of x264."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", container_options=container_options) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height = stream.width = 128
        stream.pix_fmt = "yuv420p"
        stream.options = options
        for frame in FRAMES:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_packets_are_those_of_ffmpegs_demuxer(codec):
    data = encoded(codec)
    found = find_packets(memoryview(data), codec)
    with av.open(io.BytesIO(data)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        extradata = container.streams.video[0].codec_context.extradata
    assert found.starts[:-1].tolist() == [packet.pos for packet in packets]
    assert np.diff(found.starts).tolist() == [packet.size for packet in packets]
    assert found.keys.tolist() == [0, GOP, 2 * GOP]
    assert found.header == (extradata if codec == "h264" else b"")


def test_a_file_of_key_frames_only_has_no_table_of_them():
    data = written({"g": "1", "bf": "0"})
    assert b"stss" not in data
    assert find_packets(memoryview(data), "h264").keys.tolist() == list(range(len(FRAMES)))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"bf": "2"}, r"not in the order of its packets \(B-frames\)"),
        # Groups that begin with a recovery point instead of an IDR picture.
        ({"bf": "0", "g": "16", "x264-params": "intra-refresh=1"}, "open group of pictures"),
    ],
)
def test_what_cannot_be_decoded_by_groups_is_refused(options, reason):
    data = written(options)
    with pytest.raises(ValueError, match=reason):
        find_packets(memoryview(data), "h264")


def test_an_open_group_is_refused_whatever_the_tables_say():
    data = bytearray(encoded("h264"))
    start = find_packets(memoryview(data), "h264").starts[GOP]
    at = start
    while data[at + 4] & 31 != 5:
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    data[at + 4] = data[at + 4] & ~31 | 1  # the unit says that it is no IDR picture
    with pytest.raises(ValueError, match=f"frame {GOP} is a key frame that needs earlier frames"):
        find_packets(memoryview(data), "h264")


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_damaged_tables_are_an_error_or_harmless(codec):
    """Any byte of the tables may be wrong: the places stay within the file, or it is refused."""
    whole = encoded(codec)
    tables = whole.index(b"moov") - 4
    rng = np.random.default_rng(0)
    refused = 0
    for at in range(tables, len(whole)):
        data = bytearray(whole)
        data[at] ^= 1 << int(rng.integers(8))
        try:
            found = find_packets(memoryview(data), codec)
        except ValueError:
            refused += 1
            continue
        assert 0 <= found.starts[0] <= found.starts[-1] <= len(whole)
        assert 0 <= found.keys[0] <= found.keys[-1] < len(found.starts) - 1
    assert refused > 100
    for cut in range(0, tables + 500, 97):
        with pytest.raises(ValueError, match="tables"):
            find_packets(memoryview(whole)[:cut], codec)
