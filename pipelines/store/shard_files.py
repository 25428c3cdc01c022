"""Reads byte ranges of shards with ``pread``, with a limited number of open files."""

import errno
import functools
import os
import resource
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import FastrotError, UnreadableError
from pipelines.store.reading import Store

Bytes = NDArray[np.uint8]
OPEN_FILES = 256


class ShardFiles:
    """A thread-safe cache of open files by path, which closes the least recently used first.

    Args:
        most: Maximum number of files kept open, in addition to those being read. It is capped at an eighth of
            the process's limit (``ulimit -n``).
    """

    def __init__(self, most: int = OPEN_FILES) -> None:
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if allowed != resource.RLIM_INFINITY:
            most = max(1, min(most, allowed // 8))
        self._open = functools.lru_cache(maxsize=most)(_File)

    def read(self, path: Path, offset: int, count: int, video: str, *, padding: int = 0) -> Bytes:
        """Return ``count`` bytes from ``offset``. Memory is allocated only if the file is long enough.

        In memory, ``padding`` zero bytes follow them.

        Raises:
            FastrotError: As in ``read_into``.
        """
        try:
            long_enough = self._open(path).reaches(offset + count)
        except OSError as error:
            raise _unreadable(path, video, error) from None
        if not long_enough:
            raise _truncated(path, video)
        memory = np.empty(count + padding, dtype=np.uint8)
        memory[count:] = 0
        data = memory[:count]
        self.read_into(path, data, offset, video)
        return data

    def read_video(self, store: Store, video: int) -> Bytes:
        """Return all bytes of a video. Raises the same errors as ``read``."""
        return self.read(
            store.shard_path(video),
            int(store.offset[video]),
            int(store.bytes[video]),
            store.name(video),
        )

    def read_into(self, path: Path, into: NDArray[np.uint8], offset: int, video: str) -> None:
        """Fill the contiguous array ``into`` from ``offset``. Errors name ``video``.

        Raises:
            UnreadableError: The system cannot open or read the file.
            FastrotError: The file is too short.
        """
        view = into.reshape(-1).data
        try:
            file = self._open(path)
            while view:
                got = os.preadv(file.descriptor, [view], offset)
                if got == 0:
                    raise _truncated(path, video)
                view, offset = view[got:], offset + got
        except OSError as error:
            raise _unreadable(path, video, error) from None


def _truncated(path: Path, video: str) -> FastrotError:
    return FastrotError(
        f"{path} is truncated: it ends before the end of video {video!r} "
        "(`fastrot store verify --fix` lists and removes lost videos)"
    )


def _unreadable(path: Path, video: str, error: OSError) -> UnreadableError:
    hint = ": raise `ulimit -n`" if error.errno == errno.EMFILE else ""
    return UnreadableError(
        f"{path} cannot be read for video {video!r}: {error.strerror}{hint}", error.errno
    )


class _File:
    """A file descriptor, closed when unreferenced: a thread may still read a file that the cache evicted."""

    def __init__(self, path: Path):
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._size = 0

    def reaches(self, end: int) -> bool:
        """Return whether the file is at least ``end`` bytes long, or was when that was last looked up."""
        if self._size < end:
            self._size = os.fstat(self.descriptor).st_size
        return self._size >= end

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)
