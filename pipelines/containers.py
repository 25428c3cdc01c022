"""Is the file as long as its container says? FFmpeg plays a truncated file to its end without a word.

Only sizes that the container declares of itself are compared with the file's: frame counts in
headers lie in healthy files too.
"""

import struct
from pathlib import Path
from typing import BinaryIO

_ISO_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot")
# The top-level boxes of ISO/IEC 14496-12 and QuickTime.
_ISO_BOXES = frozenset(
    b"ftyp moov mdat free wide skip pnot moof mfra meta styp sidx".split()
    + b"ssix prft uuid pdin emsg udta meco imda".split()
)
_EBML_HEADER, _EBML_SEGMENT = 0x1A45DFA3, 0x18538067


def find_truncation(path: Path) -> str | None:
    """Return why the file is truncated, or None where it is whole or tells nothing of its size.

    Knows RIFF (AVI), ISO base media (MP4, MOV, 3GP) and Matroska (MKV, WebM).

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    if size == 0:
        return "it is empty (0 bytes)"
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        declared: int | None
        if head[:4] == b"RIFF":
            declared = _riff_end(file, size)
        elif head[4:8] in _ISO_FIRST_BOXES:
            declared = _iso_end(file, size)
        elif head[:4] == _EBML_HEADER.to_bytes(4, "big"):
            declared = _matroska_end(file)
        else:
            return None
    if declared is None or declared <= size:
        return None
    return f"it is truncated: {size:,} of at least {declared:,} bytes are there"


def _riff_end(file: BinaryIO, size: int) -> int:
    """Follow the RIFF chunks (an AVI over 1 GB has several)."""
    end = 0
    while end + 8 <= size:
        file.seek(end)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF":
            break  # what follows the last chunk is padding
        if length in (0, 0xFFFFFFFF):
            return size  # written to a pipe: the length was never filled in
        end += 8 + length
    return end


def _iso_end(file: BinaryIO, size: int) -> int:
    """Follow the top-level boxes: a box's size is 32 bits, 1 for a 64-bit one after it, 0 for the rest."""
    end = 0
    while end + 8 <= size:
        file.seek(end)
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind not in _ISO_BOXES:
            break  # not a box: trailing bytes of no meaning to a player
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
    return end


def _matroska_end(file: BinaryIO) -> int | None:
    """Read the size of the segment, which follows the EBML header; live recordings leave it unknown."""
    end = 0
    for wanted in (_EBML_HEADER, _EBML_SEGMENT):
        identifier = int.from_bytes(file.read(4), "big")
        length = _matroska_length(file)
        if identifier != wanted or length is None:
            return None
        end = file.tell() + length
        if identifier == _EBML_HEADER:
            file.seek(end)
    return end


def _matroska_length(file: BinaryIO) -> int | None:
    """Read a variable-length integer; all ones mean unknown."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    width = 9 - first[0].bit_length()
    bits = 7 * width
    value = int.from_bytes(first + file.read(width - 1), "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value
