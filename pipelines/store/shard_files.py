"""Reads byte ranges of shards by ``pread``, through a bounded number of open files."""

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
    """Open files by path, the least recently used closed first; safe for several threads.

    Args:
        most: files that stay open, beside those that threads are reading. An eighth of what the system
            allows the process (`ulimit -n`) is never exceeded.
    """

    def __init__(self, most: int = OPEN_FILES) -> None:
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if allowed != resource.RLIM_INFINITY:
            most = max(1, min(most, allowed // 8))
        self._open = functools.lru_cache(maxsize=most)(_File)

    def read(self, path: Path, offset: int, count: int, video: str) -> Bytes:
        """Return ``count`` bytes from ``offset``; memory is taken only where the file has as many.

        Raises:
            FastrotError: as ``read_into``.
        """
        try:
            file = self._open(path)  # held, lest another thread's opening closes it
            short = os.fstat(file.descriptor).st_size < offset + count
        except OSError as error:
            raise _unreadable(path, video, error) from None
        if short:
            raise _truncated(path, video)
        data = np.empty(count, dtype=np.uint8)
        self.read_into(path, data, offset, video)
        return data

    def read_video(self, store: Store, video: int) -> Bytes:
        """Return all bytes of a video; raises as ``read``."""
        return self.read(
            store.shard_path(video),
            int(store.offset[video]),
            int(store.bytes[video]),
            store.name(video),
        )

    def read_into(self, path: Path, into: NDArray[np.uint8], offset: int, video: str) -> None:
        """Fill the contiguous array ``into`` from ``offset``.

        Raises:
            UnreadableError: the system refuses to open or read the file; names ``video``.
            FastrotError: the file ends too early; names ``video``.
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
        f"{path} ends before video {video!r} does: it was truncated. "
        "`fastrot store verify --fix` lists and drops what is lost"
    )


def _unreadable(path: Path, video: str, error: OSError) -> UnreadableError:
    hint = ": raise `ulimit -n`" if error.errno == errno.EMFILE else ""
    return UnreadableError(
        f"{path} cannot be read for video {video!r}: {error.strerror}{hint}", error.errno
    )


class _File:
    """A descriptor that closes when nobody uses it: a thread may still read what the cache evicted."""

    def __init__(self, path: Path):
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)
