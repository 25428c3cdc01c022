"""Where the packets of an MP4 file are, according to the file's own tables.

Only files as ``prepare`` writes them are accepted: one video track, one packet per frame, in the order of the
frames, without gaps. Each key frame then starts a closed group of pictures, which can be decoded alone.
"""

import contextlib
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ENTRY_HEADER = 86
"""Bytes of a video's sample entry before its boxes (ISO 14496-12, VisualSampleEntry)."""

_IDR = 5
"""The type of an H.264 unit that needs no earlier picture. A key frame may also be of type 1 (open group)."""


@dataclass(frozen=True)
class Mp4Packets:
    """The packets of an MP4 file: packet i is the file's bytes ``starts[i]`` to ``starts[i + 1]``.

    ``starts`` is (frames + 1,) int64, ``keys`` the numbers of the key frames, (groups,) int64. ``header`` is
    what a decoder needs before the first packet: for h264 the content of the box avcC, for vp9 nothing.
    """

    starts: NDArray[np.int64]
    keys: NDArray[np.int64]
    header: bytes


def find_packets(file: memoryview, codec: str) -> Mp4Packets:
    """Return the packets of a whole MP4 file of a store's codec ("h264" or "vp9").

    Raises:
        ValueError: The file is not such an MP4 file, or its frames cannot be decoded group by group.
    """
    try:
        packets = _read_tables(file)
    except (struct.error, LookupError) as error:
        raise ValueError(f"its tables are not those of a stored MP4 file: {error}") from None
    begin, end = _box(file, 0, len(file), b"mdat")
    if (
        packets.starts[0] != begin
        or packets.starts[-1] != end
        or (np.diff(packets.starts) <= 0).any()
    ):
        raise ValueError("its packets are not where its tables say")
    count = len(packets.starts) - 1
    keys = packets.keys
    if not len(keys) or keys[0] != 0 or keys[-1] >= count or (np.diff(keys) <= 0).any():
        raise ValueError("its list of key frames is invalid, or its first frame is none")
    for key in keys.tolist():
        packet = file[packets.starts[key] : packets.starts[key + 1]]
        if not (_is_idr(packet) if codec == "h264" else _is_vp9_key(packet)):
            raise ValueError(
                f"frame {key} is a key frame that needs earlier frames (an open group of pictures)"
            )
    return packets


def _read_tables(file: memoryview) -> Mp4Packets:
    begin, end = _box(file, 0, len(file), b"moov", b"trak", b"mdia", b"minf", b"stbl")
    if _has(file, begin, end, b"ctts"):
        raise ValueError("its frames are not in the order of its packets (B-frames)")
    at, _ = _box(file, begin, end, b"stsz")
    size, count = struct.unpack_from(">II", file, at + 4)
    if count * max(size, 1) > len(file):
        raise LookupError("it has more packets than bytes")
    sizes = np.full(count, size) if size else _numbers(file, at + 12, end, count)
    at, _ = _box(file, begin, end, b"stco")
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    starts += struct.unpack_from(">I", file, at + 8)[0]
    keys = np.arange(1, count + 1)  # a file of key frames only has no table of them
    if _has(file, begin, end, b"stss"):
        at, _ = _box(file, begin, end, b"stss")
        keys = _numbers(file, at + 8, end, struct.unpack_from(">I", file, at + 4)[0])
    at, _ = _box(file, begin, end, b"stsd")
    entry, last = at + 8, at + 8 + struct.unpack_from(">I", file, at + 8)[0]
    header = b""
    if bytes(file[entry + 4 : entry + 8]) == b"avc1":
        at, last = _box(file, entry + _ENTRY_HEADER, min(last, end), b"avcC")
        header = bytes(file[at:last])
    return Mp4Packets(starts, keys.astype(np.int64) - 1, header)


def _numbers(file: memoryview, at: int, end: int, count: int) -> NDArray[np.int64]:
    """Return ``count`` 32-bit numbers of a table, whose count may be damaged."""
    if at + 4 * count > end:
        raise LookupError("a table ends too early")
    return np.frombuffer(file, ">u4", count, at).astype(np.int64)


def _box(file: memoryview, begin: int, end: int, *path: bytes) -> tuple[int, int]:
    """Return where the content of a box begins and ends, down a path of nested boxes."""
    for kind in path:
        while True:
            if begin + 8 > end:
                raise LookupError(f"it has no box {kind.decode()}")
            size, found = struct.unpack_from(">I4s", file, begin)
            if found == kind:
                begin, end = begin + 8, min(begin + size, end)
                break
            begin += max(size, 8)
    return begin, end


def _has(file: memoryview, begin: int, end: int, kind: bytes) -> bool:
    with contextlib.suppress(LookupError):
        _box(file, begin, end, kind)
        return True
    return False


def _is_idr(packet: memoryview) -> bool:
    """Return whether the first picture unit of an H.264 packet is an IDR picture (H.264, table 7-1)."""
    at = 0
    while at + 5 <= len(packet):
        kind = packet[at + 4] & 31
        if 1 <= kind <= _IDR:
            return kind == _IDR
        at += 4 + int(struct.unpack_from(">I", packet, at)[0])
    return False


def _is_vp9_key(packet: memoryview) -> bool:
    """Return whether a VP9 packet of profile 0 begins with a key frame (VP9, section 6.2)."""
    return packet[0] & 0b11111100 == 0b10000000
