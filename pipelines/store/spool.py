"""A buffer for an encoded video: in memory while it is small, then in a temporary file."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MEMORY_BYTES = 16_000_000
"""Bytes of a video kept in memory. Pickling and the pipe to the parent make up to three copies."""

PIECE_BYTES = 1 << 20
"""Bytes of a temporary file read at a time while it is copied."""


class SpoolError(Exception):
    """A temporary file cannot be written or read: an error of the disk, not of the video."""


class Spool:
    """A writable file object, in memory up to a limit, and in a temporary file beyond it.

    Args:
        path: The temporary file. It and its folder are created when needed, and the caller removes it. None
            keeps everything in memory.
        memory: The limit in bytes.
    """

    def __init__(self, path: Path | None = None, memory: int = MEMORY_BYTES):
        self._path = path
        self._memory = memory
        self._file: BinaryIO = io.BytesIO()

    def write(self, data: bytes) -> int:
        """Write at the current position. Raises SpoolError."""
        held = self._file
        if (
            self._path is not None
            and isinstance(held, io.BytesIO)
            and held.tell() + len(data) > self._memory
        ):
            self._move_to_disk(held, self._path)
        with self._disk_errors():
            return self._file.write(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position and return it. Raises SpoolError."""
        with self._disk_errors():
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the current position."""
        with self._disk_errors():
            return self._file.tell()

    def finish(self) -> bytes | Path:
        """Return the bytes, or the closed file that contains them. Raises SpoolError."""
        if isinstance(self._file, io.BytesIO):
            return self._file.getvalue()
        assert self._path is not None
        with self._disk_errors():
            self._file.close()
        return self._path

    def _move_to_disk(self, held: io.BytesIO, path: Path) -> None:
        with self._disk_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
            self._file.write(held.getbuffer())
            self._file.seek(held.tell())

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SpoolError(f"{self._path}: {error.strerror}") from None


def pieces(data: bytes | Path) -> Iterator[bytes]:
    """Yield the bytes of a finished spool in order, PIECE_BYTES at a time if they are in a file."""
    if isinstance(data, bytes):
        yield data
        return
    with data.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
