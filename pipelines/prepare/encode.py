"""Encodes frames in a store's codec: videos with PyAV, JPEGs with Pillow."""

import contextlib
import mmap
from array import array
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any
from zlib import crc32  # not ISA-L's: see checksums.py

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from pipelines.prepare.jpeg import encode_jpegs
from pipelines.store.codecs import CODECS
from pipelines.store.packet_index import index_packets
from pipelines.store.shard_writing import EncodedVideo
from pipelines.store.spool import Spool

Frame = NDArray[np.uint8]
"""One RGB picture, (height, width, 3)."""

GOP = 8
"""Frames per group of pictures: at most 7 frames before a clip's first one must be decoded with it.

A clip's packets from the key frame on are read and decoded (``packet_index``). Given a whole file, DALI 2.4
would decode all frames before the clip.
"""

LONGEST_FRAME = Fraction(24 * 3600)
"""Maximum duration of a frame in seconds: MP4 stores durations in 32 bits, in units of about 1/16384 s."""

# Without look-ahead and hidden frames, packets correspond to frames one to one and in order. fastdecode
# (CAVLC, no deblocking, no weighted prediction) and cpu-used 5 make files that a CPU decodes faster, and so
# does psnr: bits are spent on the smallest error, not on what pleases the eye.
_OPTIONS = {
    "h264": {
        "preset": "fast",
        "tune": "psnr,fastdecode",
        "bf": "0",
        "sc_threshold": "0",
        "x264-params": "rc-lookahead=0",
    },
    "vp9": {"b:v": "0", "deadline": "realtime", "cpu-used": "5", "lag-in-frames": "0"},
}
# Subsamples chroma (4:2:0) equally along both axes. Without full chroma input, columns are filtered
# differently.
_HALVING = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INP
_ENCODERS = {"h264": "libx264", "vp9": "libvpx-vp9"}


def encode(
    frames: Iterable[Frame],
    codec: str,
    quality: int | None,
    fps: float,
    spool: Spool | None = None,
) -> EncodedVideo:
    """Encode RGB frames of one size in a store's codec.

    Frames are encoded one at a time, so only a few are in memory.

    Args:
        frames: At least one frame, each (size, size, 3) uint8.
        codec: A key of ``codecs.CODECS``.
        quality: On the codec's scale, or None if it is lossless.
        fps: The frame rate for playing an extracted file.
        spool: Receives the bytes. None keeps them in memory.

    Raises:
        SpoolError: The spool cannot be written.
    """
    spool = spool or Spool()
    if CODECS[codec].video:
        assert quality is not None
        count = _write_mp4(frames, codec, quality, fps, spool)
        data = spool.finish()
        with _mapped(data) as file:
            index, header = index_packets(file, codec)
        assert len(index) == count, f"{count} frames were encoded as {len(index)} packets"
        return EncodedVideo(data, count, fps, index=index, header=header)
    packets: Iterator[bytes]
    if codec == "raw":
        packets = (frame.tobytes() for frame in frames)
    else:
        assert quality is not None
        packets = encode_jpegs(frames, quality)
    sizes, sums = array("q"), array("I")
    for packet in packets:
        spool.write(packet)
        sizes.append(len(packet))
        sums.append(crc32(packet))
    return EncodedVideo(
        spool.finish(),
        len(sizes),
        fps,
        np.frombuffer(sizes, dtype=np.int64),
        np.frombuffer(sums, dtype=np.uint32),
    )


def _write_mp4(frames: Iterable[Frame], codec: str, quality: int, fps: float, spool: Spool) -> int:
    """Write RGB frames as one MP4 file, and return their number.

    The colours are limited-range BT.601, which DALI's decoders assume.
    """
    height, width, frames = _measured(frames)
    count = 0
    rate = frame_rate(fps)
    with av.open(spool, "w", format="mp4") as container:
        stream: Any = container.add_stream(_ENCODERS[codec], rate=rate)
        stream.height, stream.width = height, width
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(quality), **_OPTIONS[codec]}
        context = stream.codec_context
        context.thread_count = 1  # prepare runs one worker per core
        context.gop_size = GOP
        context.max_b_frames = 0
        context.colorspace = Colorspace.ITU601
        context.color_range = ColorRange.MPEG
        context.time_base = 1 / rate
        for frame in _planar(frames, "yuv420p", ColorRange.MPEG, 1 / rate):
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
    return count


@contextlib.contextmanager
def _mapped(data: bytes | Path) -> Iterator[memoryview]:
    """Give the bytes of a finished spool, mapped into memory if they are in a file."""
    if isinstance(data, bytes):
        yield memoryview(data)
        return
    with data.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        try:
            yield view
        finally:
            view.release()


def _measured(frames: Iterable[Frame]) -> tuple[int, int, Iterator[Frame]]:
    """Return the frames' height and width in pixels, and an iterator over all frames."""
    rest = iter(frames)
    first = next(rest)
    return first.shape[0], first.shape[1], chain([first], rest)


def frame_rate(fps: float) -> Fraction:
    """Return ``fps`` as a fraction of small numbers, and at least one frame per day (a limit of MP4)."""
    if fps >= 1:
        return Fraction(fps).limit_denominator(1001)
    return 1 / min(LONGEST_FRAME, Fraction(1 / fps).limit_denominator(1001))


def _planar(
    frames: Iterable[Frame], pix_fmt: str, color_range: ColorRange, time_base: Fraction
) -> Iterator[av.VideoFrame]:
    reformatter = VideoReformatter()
    for number, frame in enumerate(frames):
        planar = reformatter.reformat(
            av.VideoFrame.from_ndarray(frame, "rgb24"),
            format=pix_fmt,
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=color_range,
            interpolation=_HALVING,
            threads=1,
        )
        planar.pts, planar.time_base = number, time_base
        yield planar
