"""Makes an MP4 file in memory of chosen packets of a video.

DALI 2.4 decodes a file from its first frame, wherever the wanted frames are. A file of only the packets that
a clip needs begins at the key frame before it.
"""

import struct
from collections.abc import Sequence

import numpy as np

from pipelines.store.packet_index import Packets
from pipelines.store.shard_files import Bytes

_MATRIX = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_RATE = 25
"""Frames per second of the file. Decoding by frame numbers does not depend on it."""

_VPCC = bytes.fromhex("01000000000a820202020000")
"""Profile 0, level 1, 8 bits, 4:2:0, unspecified colours (VP Codec ISO Media File Format Binding)."""


def mp4_file(codec: str, size: int, header: bytes, parts: Sequence[Packets]) -> Bytes:
    """Return an MP4 file of the packets of ``parts``, one after another, as (bytes,) uint8.

    Args:
        codec: "h264" or "vp9".
        size: Height and width of the frames in pixels.
        header: The decoder's header of the video (``Mp4Packets``).
        parts: The packets. The first packet of each part is marked as a key frame.
    """
    sizes = [np.diff(part.starts) for part in parts]
    count = sum(map(len, sizes))
    keys = np.cumsum([1, *map(len, sizes[:-1])]).tolist()
    start = _box(b"ftyp", b"isom", _words(512), b"isomiso2mp41")
    data = [part.data[part.starts[0] : part.starts[-1]] for part in parts]
    mdat = struct.pack(">I4s", 8 + sum(map(len, data)), b"mdat")
    stbl = _box(
        b"stbl",
        _box(b"stsd", _words(0, 1), _sample_entry(codec, size, header)),
        _box(b"stts", _words(0, 1, count, 1)),
        _box(b"stss", _words(0, len(keys), *keys)),
        _box(b"stsc", _words(0, 1, 1, count, 1)),
        _box(b"stsz", _words(0, 0, count), np.concatenate(sizes).astype(">u4").tobytes()),
        _box(b"stco", _words(0, 1, len(start) + len(mdat))),
    )
    dinf = _box(b"dinf", _box(b"dref", _words(0, 1), _box(b"url ", _words(1))))
    minf = _box(b"minf", _box(b"vmhd", _words(1, 0, 0)), dinf, stbl)
    mdhd = _box(b"mdhd", _words(0, 0, 0, _RATE, count, 0x55C40000))  # language "und"
    mdia = _box(b"mdia", mdhd, _box(b"hdlr", _words(0, 0), b"vide", bytes(13)), minf)
    side = _words(size << 16, size << 16)
    tkhd = _box(b"tkhd", _words(3, 0, 0, 1, 0, count, 0, 0, 0, 0), _MATRIX, side)
    times = _words(0, 0, 0, _RATE, count, 1 << 16, 1 << 24, 0, 0)
    mvhd = _box(b"mvhd", times, _MATRIX, bytes(24), _words(2))
    moov = _box(b"moov", mvhd, _box(b"trak", tkhd, mdia))
    ends = [np.frombuffer(each, np.uint8) for each in (start + mdat, moov)]
    return np.concatenate([ends[0], *data, ends[1]])


def _sample_entry(codec: str, size: int, header: bytes) -> bytes:
    kind, config = (
        (b"avc1", _box(b"avcC", header)) if codec == "h264" else (b"vp09", _box(b"vpcC", _VPCC))
    )
    fixed = struct.pack(">6xH16xHHIIIH32xHh", 1, size, size, 72 << 16, 72 << 16, 0, 1, 24, -1)
    return _box(kind, fixed, config)


def _box(kind: bytes, *content: bytes) -> bytes:
    """Return a box: its size, its kind and its content."""
    return struct.pack(">I4s", 8 + sum(map(len, content)), kind) + b"".join(content)


def _words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)
