"""Which stream is decoded, and what is made of errors that the decoder reports."""

import av
import numpy as np
import pytest
from av.stream import Disposition

from pipelines.errors import FastrotError
from pipelines.layouts import read_layout
from pipelines.prepare.decoding import Decoder, is_damage
from pipelines.prepare.preparation import prepare
from pipelines.prepare.transcode import check_damage
from pipelines.store.reading import Settings, Store
from tests.helpers import decode_with_pyav, moving_frames, write_streams
from tests.pipelines.prepare.frames import read_frames

FRAMES = moving_frames(60, 96, 128)


def write_damaged(path, damage, codec="libx264", every=20, **options):
    """Encode FRAMES with a key frame every 7, and hand every ``every``-th packet to ``damage`` first.

    It returns the packet's new bytes.
    """
    whole = write_film(path.with_name("whole.mkv"), codec, **options)
    with av.open(str(whole)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for number, packet in enumerate(packets):
            data = bytes(packet)
            copy = av.Packet(damage(data) if number % every == every // 2 else data)
            copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
            copy.is_keyframe, copy.stream = packet.is_keyframe, stream
            container.mux(copy)
    whole.unlink()
    return path


def write_film(path, codec="libx264", pix_fmt="yuv420p", **options):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 96, 128, pix_fmt
        stream.codec_context.gop_size = 7
        if codec == "libx264":
            stream.options = {"tune": "zerolatency"}  # a packet a frame, all of them referred to
        for pixels in FRAMES:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode(None))
    return path


def flip(data):
    """Invert the bytes in the packet's middle half."""
    quarter = len(data) // 4
    return data[:quarter] + bytes(255 - byte for byte in data[quarter:-quarter]) + data[-quarter:]


def cut(data):
    return data[: len(data) // 2]


def count(path):
    """Decode a file; return the frames, the damaged ones, and the refused packets."""
    with av.open(str(path)) as container:
        decoder = Decoder(container)
        frames = sum(1 for _ in decoder.frames())
    assert frames == decoder.decoded
    return frames, decoder.damaged, decoder.refused


@pytest.mark.parametrize("preview_first", [True, False])
def test_the_film_is_decoded_and_not_the_preview_before_it(tmp_path, preview_first):
    path = write_streams(tmp_path / "film.mkv", preview_first=preview_first)
    frames, _, _ = read_frames(path, None, 40)
    assert len(frames) == 12
    np.testing.assert_allclose(np.stack(frames).mean(), 200, atol=3)


def write_cover(path, *, film=True):
    """Write an MP4 whose first video stream is a cover picture, as music players and shops write them."""
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 16
        cover.pix_fmt, cover.disposition = "yuvj420p", Disposition.attached_pic
        other = container.add_stream("mpeg4" if film else "aac", rate=25 if film else 16000)
        if film:
            other.width, other.height, other.pix_fmt = 128, 96, "yuv420p"
        black = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
        container.mux([*cover.encode(black), *cover.encode(None)])
        for pixels in FRAMES[:5]:
            if film:
                container.mux(other.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        if not film:
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            sound.sample_rate = 16000
            container.mux(other.encode(sound))
        container.mux(other.encode(None))
    # FFmpeg writes the cover (in moov/udta) behind the tracks: put it first.
    data = path.read_bytes()
    start = data.index(b"moov") - 4
    boxes, at = [], start + 8
    end = start + int.from_bytes(data[start : start + 4], "big")
    while at < end:
        size = int.from_bytes(data[at : at + 4], "big")
        boxes.append(data[at : at + size])
        at += size
    boxes.sort(key=lambda box: box[4:8] != b"udta")
    path.write_bytes(data[: start + 8] + b"".join(boxes) + data[end:])
    return path


def test_a_cover_picture_is_no_video(tmp_path):
    path = write_cover(tmp_path / "film.mp4")
    with av.open(str(path)) as container:
        assert container.streams.video[0].disposition & Disposition.attached_pic
        assert len(container.streams.video) == 2
    frames, _, _ = read_frames(path, None, 40)
    np.testing.assert_array_equal(frames, decode_with_pyav(path, 40, stream=1))


def test_a_song_with_a_cover_has_no_video(tmp_path):
    with pytest.raises(FastrotError, match="the file has only a cover picture"):
        read_frames(write_cover(tmp_path / "song.mp4", film=False), None, 40)


CODECS = [
    ("libx264", {}),
    ("mpeg4", {}),
    ("mpeg2video", {}),
    ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    ("mjpeg", {"pix_fmt": "yuvj420p"}),
    ("ffv1", {}),
]


@pytest.mark.parametrize(("codec", "options"), CODECS)
def test_healthy_files_have_no_damage(tmp_path, codec, options):
    assert count(write_film(tmp_path / "film.mkv", codec, **options)) == (60, 0, 0)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video"])
def test_flipped_bytes_are_counted_frame_by_frame(tmp_path, codec):
    """Three of 60 packets are spoiled; their frames come out, concealed."""
    frames, damaged, _ = count(write_damaged(tmp_path / "film.mkv", flip, codec))
    assert damaged == 3
    assert frames >= 57


@pytest.mark.parametrize(
    ("codec", "refused"), [("libx264", 3), ("mpeg4", 0), ("mpeg2video", 0), ("mjpeg", 0)]
)
def test_packets_cut_short_are_counted_whether_refused_or_concealed(tmp_path, codec, refused):
    options = {"pix_fmt": "yuvj420p"} if codec == "mjpeg" else {}
    got = count(write_damaged(tmp_path / "film.mkv", cut, codec, **options))
    assert got == (60 - refused, 3, refused)


@pytest.mark.parametrize("fault", ["lost", "flagged"])
def test_faults_of_transport_packets_are_counted(tmp_path, fault):
    """A packet of MPEG-TS is missing, or flagged by its receiver, with nothing for the decoder to see."""
    path = write_film(tmp_path / "film.ts", "mpeg2video")
    assert count(path) == (60, 0, 0)
    data = bytearray(path.read_bytes())
    # Packets have 188 bytes; 0x47, and the stream's number 0x100 in one that begins no frame.
    video = [at for at in range(0, len(data), 188) if data[at : at + 3] == b"\x47\x01\x00"]
    middle = video[len(video) // 2]
    if fault == "lost":
        del data[middle : middle + 188]
    else:
        data[middle + 1] |= 0x80
    path.write_bytes(data)
    assert 1 <= count(path)[1] <= 2


def test_what_decoders_call_errors_though_every_pixel_is_right():
    error = av.logging.ERROR
    assert is_damage((error, "h264", "error while decoding MB 0 10, bytestream 1049\n"))
    assert not is_damage((av.logging.WARNING, "mjpeg", "EOI missing, emulating\n"))
    assert not is_damage((error, "h264", "mmco: unref short failure\n"))
    assert not is_damage((error, "mjpeg", "unable to decode APP fields: Invalid data found\n"))


def test_a_tenth_of_damaged_frames_is_too_many():
    check_damage(0, 1)
    check_damage(9, 100)
    with pytest.raises(FastrotError, match=r"errors in 10 of 100 frames, which is 10% or more"):
        check_damage(10, 100)


def test_prepare_names_what_is_damaged_and_rejects_what_is_too_damaged(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    write_damaged(source / "bad.mkv", flip, every=5)
    write_damaged(source / "scratched.mkv", flip, every=50)
    write_film(source / "whole.mkv")
    result = prepare(
        read_layout(source, "folder"),
        tmp_path / "store",
        Settings("raw", size=40, frames=None, layout="folder"),
    )
    assert result.damaged == [("scratched.mkv", 1)]
    ((name, reason),) = result.rejected
    assert name == "bad.mkv"
    assert "the decoder reported errors in 12 of 60 frames" in reason
    assert result.added == len(Store.open(tmp_path / "store")) == 2
