"""The on-disk store, write side: append-only, so that a killed writer loses at most the video in hand.

A video's bytes are synced before the manifest names them. Opening a store again for writing drops
whatever lies beyond the last line of the manifest, and goes on from there.
"""

import contextlib
import dataclasses
import fcntl
import io
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from isal.isal_zlib import crc32
from numpy.typing import NDArray

from pipelines.codecs import CODECS
from pipelines.errors import FastrotError, UsageError
from pipelines.json_lines import line_files, read_lines
from pipelines.store import Record, Settings, check_place

SHARD_BYTES = 1_000_000_000
NPY_HEADER_BYTES = 128


@dataclass
class EncodedVideo:
    """A transcoded video: its bytes, and for mjpeg the size of each frame's packet, (frames,) int64.

    ``damaged_frames`` counts the source's frames about which its decoder reported errors.
    """

    data: bytes
    frames: int
    fps: float
    packet_bytes: NDArray[np.int64] | None = None
    damaged_frames: int = 0


@contextlib.contextmanager
def writing(path: Path, settings: Settings, part: str = "") -> "Iterator[StoreWriter]":
    """Open the store ``path`` for appending, making it if absent, and close it whatever happens.

    Raises:
        UsageError: the store exists with other settings.
        FastrotError: the folder cannot be written, now or later (a full disk).
    """
    try:
        writer = StoreWriter(path, settings, part)
        try:
            yield writer
        finally:
            writer.close()
    except OSError as error:
        raise FastrotError(f"the store {path} cannot be written: {error}") from None


class StoreWriter:
    """Appends videos to a store. ``writing`` opens and closes one.

    There may be one writer for each ``part`` at a time ("" or such as "1of8"), on any nodes: each
    has a manifest and shards of its own, so none waits for another.

    Attributes:
        known: names that any manifest of the store has.
        rejected: names that were set aside and are not in the store.
    """

    def __init__(self, path: Path, settings: Settings, part: str = ""):
        self.path = path
        self.settings = settings
        self._suffix = f"-{part}" if part else ""
        self._prefix = f"{part}-" if part else ""
        (path / "shards").mkdir(parents=True, exist_ok=True)
        self._lock = lock(path, part)
        self._settle_settings()
        self._manifest = _open_lines(path / f"manifest{self._suffix}.jsonl")
        self._rejects = _open_lines(path / f"rejected{self._suffix}.jsonl")
        lines = [line for file in line_files(path, "manifest") for line in read_lines(file)]
        self.known = {line["name"] for line in lines}
        self.rejected = {
            line["name"] for file in line_files(path, "rejected") for line in read_lines(file)
        } - self.known
        for shard in {str(line["shard"]) for line in lines}:
            check_place(path, shard)
        self._shard = self._reopen_last_shard([Record(**line) for line in lines])

    def _reopen_last_shard(self, records: list[Record]) -> "_Shard | None":
        """Open this part's last shard behind its last promised video, if it has one."""
        own = [record for record in records if self._is_own(record.shard)]
        if not own:
            return None
        last = max(own, key=lambda record: (record.shard, record.offset))
        shard = _Shard(self.path / "shards" / last.shard, self.settings)
        shard.cut(last)
        return shard

    def _is_own(self, shard: str) -> bool:
        return shard.startswith(self._prefix) and shard[len(self._prefix) :].split(".")[0].isdigit()

    def _settle_settings(self) -> None:
        if not (self.path / "store.json").exists():
            write_atomically(self.path / "store.json", self.settings.to_json())
            return
        there = asdict(Settings.read(self.path))
        # A store of an older format stays what it is.
        self.settings = dataclasses.replace(self.settings, format=there["format"])
        wanted = asdict(self.settings)
        differing = [key for key in wanted if there[key] != wanted[key] and key != "classes"]
        if differing:
            changes = ", ".join(
                f"{key}: {there[key]} there, {wanted[key]} asked" for key in differing
            )
            raise UsageError(
                f"the store {self.path} was made with other settings ({changes}): "
                "ask for the same, or choose another --out"
            )
        new = [name for name in wanted["classes"] if name not in there["classes"]]
        if new:
            # Old classes keep their numbers: networks may have been trained with them.
            classes = (*there["classes"], *new)
            settings = dataclasses.replace(self.settings, classes=classes)
            write_atomically(self.path / "store.json", settings.to_json())

    def add(
        self, name: str, video: EncodedVideo, *, label: str | None, splits: tuple[str, ...]
    ) -> Record:
        """Append one video and sync it; return its line of the manifest."""
        shard = self._shard_with_room(len(video.data))
        offset, index = shard.append(video)
        record = Record(
            name=name,
            shard=shard.path.name,
            offset=offset,
            bytes=len(video.data),
            index=index,
            frames=video.frames,
            crc32=crc32(video.data),
            fps=video.fps,
            label=label,
            splits=list(splits),
        )
        _append_line(self._manifest, asdict(record))
        self.known.add(name)
        return record

    def reject(self, name: str, reason: str) -> None:
        """Note that a video was set aside, and why."""
        _append_line(self._rejects, {"name": name, "reason": reason})
        self.rejected.add(name)

    def _shard_with_room(self, size: int) -> "_Shard":
        shard = self._shard
        if shard is None or (shard.frames and shard.bytes + size > SHARD_BYTES):
            number = 0
            if shard is not None:
                number = int(shard.path.name[len(self._prefix) :].split(".")[0]) + 1
                shard.close()
            suffix = CODECS[self.settings.codec].suffix
            self._shard = shard = _Shard(
                self.path / "shards" / f"{self._prefix}{number:05d}.{suffix}", self.settings
            )
            shard.cut(None)
        return shard

    def close(self) -> None:
        """Close the files; every video added is already safe."""
        for file in (self._shard, self._manifest, self._rejects, self._lock):
            if file is not None:
                file.close()


class _Shard:
    """One open shard and the files beside it that have a number a frame.

    These are the frames' offsets (uint64, for mjpeg) and their checksums (uint32, for raw and mjpeg).
    """

    def __init__(self, path: Path, settings: Settings):
        self.path = path
        self._raw = settings.codec == "raw"
        self._size = settings.size
        self._file = _open_binary(path)
        offsets = settings.codec == "mjpeg"
        self._offsets = _open_binary(offsets_path(path)) if offsets else None
        self._sums = _open_binary(checksums_path(path)) if settings.frame_checksums else None
        self._beside = [(f, n) for f, n in ((self._offsets, 8), (self._sums, 4)) if f is not None]
        self.bytes = 0
        self.frames = 0

    def cut(self, last: Record | None) -> None:
        """Drop whatever lies beyond the last promised video."""
        self.frames = 0 if last is None else last.index + last.frames
        header = NPY_HEADER_BYTES if self._raw else 0
        self.bytes = header if last is None else last.offset + last.bytes
        short = os.fstat(self._file.fileno()).st_size < self.bytes
        for file, width in self._beside:
            short |= os.fstat(file.fileno()).st_size < width * self.frames
        if short and last is not None:
            raise FastrotError(
                f"{self.path} or a file beside it is shorter than the manifest says: run "
                f"`fastrot store verify {self.path.parents[1]} --fix` first"
            )
        self._file.truncate(self.bytes)
        self._write_header()
        for file, width in self._beside:
            file.truncate(width * self.frames)

    def append(self, video: EncodedVideo) -> tuple[int, int]:
        """Write and sync one video; return its offset and the number of its first frame."""
        offset, index = self.bytes, self.frames
        _write_at(self._file, offset, video.data)
        if self._offsets is not None:
            assert video.packet_bytes is not None
            starts = offset + np.concatenate([[0], np.cumsum(video.packet_bytes)[:-1]])
            _write_at(self._offsets, 8 * index, starts.astype("<u8").tobytes())
        if self._sums is not None:
            _write_at(self._sums, 4 * index, frame_checksums(video).tobytes())
        for file, _ in self._beside:
            os.fdatasync(file.fileno())
        self.bytes += len(video.data)
        self.frames += video.frames
        self._write_header()
        os.fdatasync(self._file.fileno())
        return offset, index

    def _write_header(self) -> None:
        """Keep a raw shard a valid .npy file at any moment, for readers other than ours."""
        if self._raw:
            shape = (self.frames, self._size, self._size, 3)
            _write_at(self._file, 0, npy_header(shape))

    def close(self) -> None:
        for file in (self._file, *(file for file, _ in self._beside)):
            file.close()


def lock(store: Path, part: str = "") -> BinaryIO:
    """Take the lock of one part of a store, and return the open file that holds it until it is closed.

    Raises:
        FastrotError: another process is writing this part.
    """
    file = _open_binary(store / f".lock{f'-{part}' if part else ''}")
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise FastrotError(
            f"another process is writing to {store}: wait for it, or give each process its share "
            "by --shard I/N"
        ) from None
    except OSError:
        pass  # a file system without locks: nothing guards it there
    return file


@lru_cache(4096)
def offsets_path(shard: Path) -> Path:
    """Return the file of a shard's frame offsets: little-endian uint64, one a frame."""
    return shard.with_suffix(shard.suffix + ".offsets")


@lru_cache(4096)
def checksums_path(shard: Path) -> Path:
    """Return the file of a shard's frame checksums (CRC-32): little-endian uint32, one a frame."""
    return shard.with_suffix(shard.suffix + ".crc32")


def frame_checksums(video: EncodedVideo) -> NDArray[np.uint32]:
    """Return the CRC-32 of each frame's bytes, (frames,) uint32 little-endian."""
    sizes = video.packet_bytes
    if sizes is None:
        sizes = np.full(video.frames, len(video.data) // video.frames, dtype=np.int64)
    ends = np.cumsum(sizes).tolist()
    data = memoryview(video.data)
    sums = [crc32(data[end - size : end]) for end, size in zip(ends, sizes.tolist(), strict=True)]
    return np.array(sums, dtype="<u4")


def npy_header(shape: tuple[int, ...]) -> bytes:
    """Return the .npy header of a C-ordered uint8 array, padded to NPY_HEADER_BYTES whatever the shape."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    assert buffer.tell() == NPY_HEADER_BYTES
    return buffer.getvalue()


def write_atomically(path: Path, text: str) -> None:
    """Write a small text file so that a reader sees the old one or the new one, never half."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")  # unique over nodes
    with temporary.open(
        "w", errors="surrogateescape"
    ) as file:  # names may be bytes that are no text
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _open_binary(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)


def _open_lines(path: Path) -> BinaryIO:
    """Open a JSON-lines file for appending, after cutting off a last line without its end."""
    file = _open_binary(path)
    size = path.stat().st_size
    keep = 0
    for line in file.read().splitlines(keepends=True) if size else []:
        keep += len(line) if line.endswith(b"\n") else 0
    file.truncate(keep)
    file.seek(0, os.SEEK_END)
    return file


def _append_line(file: BinaryIO, value: dict[str, Any]) -> None:
    start = os.lseek(file.fileno(), 0, os.SEEK_END)
    try:
        _write_at(file, start, json.dumps(value).encode() + b"\n")
    except OSError:
        file.truncate(start)  # half a line would spoil the next one
        raise
    os.fdatasync(file.fileno())


def _write_at(file: BinaryIO, offset: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file.fileno(), view, offset)
        view, offset = view[written:], offset + written
