"""Writing a shard: videos are appended and synced, and uncommitted bytes are truncated."""

import io
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import FastrotError
from pipelines.store.checksums import crc32
from pipelines.store.reading import Record, Settings
from pipelines.store.spool import pieces

NPY_HEADER_BYTES = 128

PACKET = np.dtype([("start", "<u8"), ("bytes", "<u4"), ("key", "<u4"), ("crc32", "<u4")])
"""A frame's record in the index of packets (h264, vp9).

``start`` is where its packet begins in the shard, ``key`` the number of its group's key frame within the
video, and ``crc32`` the checksum of the group's packets up to and including this one. That of a group's last
frame is the checksum of the whole group.
"""


@dataclass
class EncodedVideo:
    """A transcoded video.

    ``data`` is its bytes, or the temporary file that contains them. If frames are stored one by one (raw,
    mjpeg), ``packet_bytes`` are their sizes, (frames,) int64, and ``packet_crc32`` their checksums,
    (frames,) uint32. For h264 and vp9, ``index`` is (frames,) records of ``PACKET`` whose starts are counted
    from the video's first byte, and ``header`` what a decoder needs before the first packet.
    ``damaged_frames`` is the number of source frames with decoder errors.
    """

    data: bytes | Path
    frames: int
    fps: float
    packet_bytes: NDArray[np.int64] | None = None
    packet_crc32: NDArray[np.uint32] | None = None
    index: NDArray[np.void] | None = None
    header: bytes = b""
    damaged_frames: int = 0

    @property
    def size(self) -> int:
        """The number of encoded bytes."""
        return self.data.stat().st_size if isinstance(self.data, Path) else len(self.data)


@dataclass(frozen=True)
class Appended:
    """The location of a video: its range in the shard, the index of its first frame, and its CRC-32."""

    offset: int
    bytes: int
    index: int
    crc32: int


class Shard:
    """An open shard and its files with one entry per frame.

    These are the frames' offsets (uint64, for mjpeg), checksums (uint32, for raw and mjpeg) and packets
    (``PACKET``, for h264 and vp9).
    """

    def __init__(self, path: Path, settings: Settings):
        self.path = path
        self._raw = settings.codec == "raw"
        self._size = settings.size
        self._file = open_binary(path)
        offsets = settings.codec == "mjpeg"
        self._offsets = open_binary(offsets_path(path)) if offsets else None
        self._sums = open_binary(checksums_path(path)) if settings.frame_checksums else None
        self._packets = open_binary(packets_path(path)) if settings.packet_index else None
        beside = ((self._offsets, 8), (self._sums, 4), (self._packets, PACKET.itemsize))
        self._beside = [(file, width) for file, width in beside if file is not None]
        self.bytes = 0
        self.frames = 0

    def cut(self, last: Record | None) -> None:
        """Truncate the files after ``last``, the last video in the manifest.

        Raises:
            FastrotError: A file is too short for it.
        """
        self.frames = 0 if last is None else last.index + last.frames
        header = NPY_HEADER_BYTES if self._raw else 0
        self.bytes = header if last is None else last.offset + last.bytes
        short = os.fstat(self._file.fileno()).st_size < self.bytes
        for file, width in self._beside:
            short |= os.fstat(file.fileno()).st_size < width * self.frames
        if short and last is not None:
            raise FastrotError(
                f"{self.path} or its .offsets, .crc32 or .packets file is shorter than the manifest says: "
                f"run `fastrot store verify {self.path.parents[1]} --fix` first"
            )
        self._file.truncate(self.bytes)
        self._write_header()
        for file, width in self._beside:
            file.truncate(width * self.frames)

    def append(self, video: EncodedVideo) -> Appended:
        """Write one video piece by piece, sync it, and return its location."""
        offset, index = self.bytes, self.frames
        end, crc = offset, 0
        for piece in pieces(video.data):
            write_at(self._file, end, piece)
            end, crc = end + len(piece), crc32(piece, crc)
        if self._offsets is not None:
            assert video.packet_bytes is not None
            starts = offset + np.concatenate([[0], np.cumsum(video.packet_bytes)[:-1]])
            write_at(self._offsets, 8 * index, starts.astype("<u8").tobytes())
        if self._sums is not None:
            assert video.packet_crc32 is not None
            write_at(self._sums, 4 * index, video.packet_crc32.astype("<u4").tobytes())
        if self._packets is not None:
            assert video.index is not None
            records = video.index.copy()
            records["start"] += offset
            write_at(self._packets, PACKET.itemsize * index, records.tobytes())
        for file, _ in self._beside:
            os.fdatasync(file.fileno())
        self.bytes = end
        self.frames += video.frames
        self._write_header()
        os.fdatasync(self._file.fileno())
        return Appended(offset, end - offset, index, crc)

    def _write_header(self) -> None:
        """Keep a raw shard a valid .npy file at all times, for other readers."""
        if self._raw:
            shape = (self.frames, self._size, self._size, 3)
            write_at(self._file, 0, npy_header(shape))

    def close(self) -> None:
        """Close the files."""
        for file in (self._file, *(file for file, _ in self._beside)):
            file.close()


@lru_cache(4096)
def offsets_path(shard: Path) -> Path:
    """Return the file of a shard's frame offsets: little-endian uint64, one per frame."""
    return shard.with_suffix(shard.suffix + ".offsets")


@lru_cache(4096)
def checksums_path(shard: Path) -> Path:
    """Return the file of a shard's frame checksums (CRC-32): little-endian uint32, one per frame."""
    return shard.with_suffix(shard.suffix + ".crc32")


@lru_cache(4096)
def packets_path(shard: Path) -> Path:
    """Return the file of a shard's index of packets: one record of ``PACKET`` per frame."""
    return shard.with_suffix(shard.suffix + ".packets")


def npy_header(shape: tuple[int, ...]) -> bytes:
    """Return the .npy header of a C-ordered uint8 array, padded to NPY_HEADER_BYTES for any shape."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    assert buffer.tell() == NPY_HEADER_BYTES
    return buffer.getvalue()


def open_binary(path: Path) -> BinaryIO:
    """Open a file unbuffered for reading and writing. Create it if missing, and keep its content."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)


def write_at(file: BinaryIO, offset: int, data: bytes) -> None:
    """Write all of ``data`` at an offset."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file.fileno(), view, offset)
        view, offset = view[written:], offset + written
