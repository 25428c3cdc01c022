"""Detects truncated video files, which FFmpeg plays without an error.

Only sizes declared by the container are compared with the file's size: frame counts in headers are wrong in
intact files too. Some programs declare an outer size that is too large. If it exceeds the file, the sizes of
the inner parts decide.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av

_ISO_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot")
# The top-level boxes of ISO/IEC 14496-12 and QuickTime.
_ISO_BOXES = frozenset(
    b"ftyp moov mdat free wide skip pnot moof mfra meta styp sidx".split()
    + b"ssix prft uuid pdin emsg udta meco imda".split()
)
# Boxes whose declared size may be too large. The index in moov shows whether data is missing.
_ISO_LAST_BOXES = frozenset(b"mdat free skip wide udta meta uuid".split())
_EBML_HEADER, _EBML_SEGMENT, _EBML_CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675


def find_truncation(path: Path) -> str | None:
    """Return why the file is truncated, or None if it is complete or does not declare its size.

    Supports RIFF (AVI), ISO base media (MP4, MOV, 3GP) and Matroska (MKV, WebM).

    Raises:
        OSError: The file cannot be read.
        av.FFmpegError: Its index cannot be read.
    """
    size = path.stat().st_size
    if size == 0:
        return "the file is empty (0 bytes)"
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        declared: int | None
        if head[:4] == b"RIFF":
            declared = _riff_end(file, size)
        elif head[4:8] in _ISO_FIRST_BOXES:
            declared = _iso_end(file, path, size)
        elif head[:4] == _EBML_HEADER.to_bytes(4, "big"):
            declared = _matroska_end(file, size)
        else:
            return None
    if declared is None or declared <= size:
        return None
    return f"the file is truncated: it has {size:,} of at least {declared:,} bytes"


def _riff_end(file: BinaryIO, size: int) -> int:
    """Return the end of the RIFF chunks (an AVI over 1 GB has several)."""
    begin = end = 0
    while end + 8 <= size:
        file.seek(end)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF":
            break  # padding after the last chunk
        if length in (0, 0xFFFFFFFF):
            return size  # written to a pipe: the length was not filled in
        begin, end = end, end + 8 + length
    if end > size and _riff_parts_are_whole(file, begin + 12, size):
        return size
    return end


def _riff_parts_are_whole(file: BinaryIO, begin: int, size: int) -> bool:
    """Return whether a RIFF chunk's parts end in the file and include "movi", the list with all frames."""
    end, has_frames = begin, False
    while end + 8 <= size:
        file.seek(end)
        kind, length, form = struct.unpack("<4sI4s", file.read(12).ljust(12))
        has_frames |= kind == b"LIST" and form == b"movi"
        if end + 8 + length > size:
            return False
        end += 8 + length + length % 2
    return has_frames


def _iso_end(file: BinaryIO, path: Path, size: int) -> int:
    """Return the end of the top-level boxes.

    A box's size has 32 bits. 1 means that a 64-bit size follows, 0 that the box extends to the file's end.
    """
    end = 0
    seen = set()
    while end + 8 <= size:
        file.seek(end)
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind not in _ISO_BOXES:
            break  # not a box: trailing bytes that players ignore
        if length == 1:
            wide = file.read(8)
            if len(wide) < 8:
                return size + 1
            (length,) = struct.unpack(">Q", wide)
        if length == 0:
            return size
        if length < 8:
            break
        end += length
        seen.add(kind)
    if end > size and kind in _ISO_LAST_BOXES and b"moov" in seen and b"moof" not in seen:
        return max(size, _last_sample_end(path))
    return end


def _last_sample_end(path: Path) -> int:
    """Return the end of the last sample in an MP4's index."""
    with av.open(str(path)) as container:
        ends = [
            entry.pos + entry.size for stream in container.streams for entry in stream.index_entries
        ]
    return max(ends, default=0)


def _matroska_end(file: BinaryIO, size: int) -> int | None:
    """Return the end of the segment after the EBML header, or None if unknown, as in live recordings."""
    for wanted in (_EBML_HEADER, _EBML_SEGMENT):
        identifier = int.from_bytes(file.read(4), "big")
        length = _matroska_length(file)
        if identifier != wanted or length is None:
            return None
        begin, end = file.tell(), file.tell() + length
        if identifier == _EBML_HEADER:
            file.seek(end)
    if end <= size:
        return end
    parts = list(_matroska_parts(file, begin, size))
    last = max((part_end for _, _, part_end in parts), default=end)
    clusters = [part_end - start for kind, start, part_end in parts if kind == _EBML_CLUSTER]
    # A file truncated between two clusters has only complete ones, but lacks at least one cluster's size.
    too_long_by = end - size
    return size if last == size and clusters and too_long_by < min(clusters) else max(last, end)


def _matroska_parts(file: BinaryIO, begin: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Yield (identifier, begin, end) of a segment's parts, up to the file's end or an unknown size."""
    end = begin
    while end < size:
        start = end
        file.seek(start)
        first = file.read(1)
        width = 9 - first[0].bit_length() if first[0] else 1
        identifier = int.from_bytes(first + file.read(width - 1), "big")
        length = _matroska_length(file)
        if length is None:
            return
        end = file.tell() + length
        yield identifier, start, end


def _matroska_length(file: BinaryIO) -> int | None:
    """Read a variable-length integer. Return None if it is unknown (all ones) or invalid."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    width = 9 - first[0].bit_length()
    bits = 7 * width
    value = int.from_bytes(first + file.read(width - 1), "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value
