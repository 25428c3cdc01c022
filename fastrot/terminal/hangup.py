"""Output that outlives its terminal: what is written to a closed one is dropped, and raises nothing."""

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_GONE = (errno.EIO, errno.EPIPE)  # of a terminal that hung up, of a pipe that nobody reads any more


class _Surviving(io.RawIOBase):
    """Writes to a descriptor, and from its death on to nowhere."""

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
    """While entered, let standard output and error go on without a reader.

    Streams that are no files, such as a test's or a notebook's, stay as they are.
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
    """Spare whoever writes next an error, the interpreter's own flush at its end among them."""
    poll = select.poll()
    poll.register(descriptor, 0)  # errors and hang-ups are told unasked
    if poll.poll(0):
        silence(descriptor)


def silence(descriptor: int) -> None:
    """Let a descriptor lead to nowhere, so that what is buffered for it can be flushed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
