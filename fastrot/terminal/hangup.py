"""Output that survives a closed terminal: writes are discarded instead of raising an error."""

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_GONE = (errno.EIO, errno.EPIPE)  # closed terminal, pipe without a reader


class _Surviving(io.RawIOBase):
    """Raw stream to a descriptor that discards output once the descriptor's reader is gone."""

    def __init__(self, descriptor: int):
        super().__init__()
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        try:
            return os.write(self._descriptor, data)
        except OSError as error:
            if error.errno not in _GONE:
                raise
        silence(self._descriptor)
        return len(data)


@contextmanager
def outliving_the_terminal() -> Iterator[None]:
    """Keep standard output and error usable in the context when their reader goes away.

    Streams that are not files, such as those of tests and notebooks, are not changed.
    """
    before = {}
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        buffer = getattr(stream, "buffer", None)
        raw = getattr(buffer, "raw", buffer)
        if not isinstance(raw, io.FileIO):
            continue
        before[name] = stream
        with suppress(OSError):
            stream.flush()
        surviving = io.TextIOWrapper(
            io.BufferedWriter(_Surviving(raw.fileno())),
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        setattr(sys, name, surviving)
    try:
        yield
    finally:
        for name, stream in before.items():
            getattr(sys, name).flush()
            setattr(sys, name, stream)
            _silence_if_gone(stream.fileno())


def _silence_if_gone(descriptor: int) -> None:
    """Avoid errors in later writes, such as the interpreter's flush at exit."""
    poll = select.poll()
    poll.register(descriptor, 0)  # errors and hang-ups are always reported
    if poll.poll(0):
        silence(descriptor)


def silence(descriptor: int) -> None:
    """Redirect a descriptor to /dev/null, so that buffered output can be flushed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
