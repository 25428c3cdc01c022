"""The JSON-lines files of a store. A killed writer may leave an incomplete last line."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pipelines.errors import FastrotError

CHUNK_BYTES = 1 << 20
"""Text of a file that is read and parsed at a time."""


def line_files(store: Path, kind: str) -> list[Path]:
    """Return the files of ``kind`` "manifest" or "rejected": the store's main file, then one per part.

    Parts are written by ``fastrot prepare --shard i/n``, such as manifest-1of8.jsonl.
    """
    return [store / f"{kind}.jsonl", *sorted(store.glob(f"{kind}-*of*.jsonl"))]


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file, each with a "name". Yield nothing if the file does not exist.

    An incomplete last line, left by a killed writer, is skipped: its video was never committed.

    Raises:
        FastrotError: A line is not JSON, or not an object with a name. The message names the line.
    """
    for number, chunk in _line_chunks(path):
        try:
            # One call for many lines is faster: a manifest may have a million.
            lines = json.loads(b"[" + b",".join(chunk) + b"]")
        except ValueError:
            lines = [_value(line) for line in chunk]
        for line_number, line in enumerate(lines, number):
            if not (isinstance(line, dict) and isinstance(line.get("name"), str)):
                raise FastrotError(
                    f"{path}, line {line_number} is damaged: delete it and run `fastrot prepare` again"
                )
            yield line


def _value(line: bytes) -> Any:
    """Return a line's value, or None if it is not JSON."""
    try:
        return json.loads(line)
    except ValueError:
        return None


@contextmanager
def refusing_damage(what: Path | str) -> Iterator[None]:
    """Convert errors caused by malformed values into a FastrotError that reports ``what`` as damaged."""
    try:
        yield
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError) as error:
        raise FastrotError(f"{what} is damaged: {error!r}. Prepare the store again.") from None


def _line_chunks(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Yield (number of the first line, complete lines) of a file, a few thousand lines at a time."""
    if not path.exists():
        return
    with path.open("rb") as file:
        number = 1
        while lines := file.readlines(CHUNK_BYTES):
            if not lines[-1].endswith(b"\n"):
                lines.pop()
            if lines:
                yield number, lines
            number += len(lines)


def open_lines(path: Path) -> BinaryIO:
    """Open a JSON-lines file for appending, and remove an incomplete last line."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
    data = file.read()
    file.truncate(data.rfind(b"\n") + 1)
    return file


def append_lines(file: BinaryIO, values: Sequence[dict[str, Any]]) -> None:
    """Append objects to a file opened with ``open_lines``, and sync it.

    A crash leaves complete lines, followed by at most one incomplete line.

    Raises:
        OSError: The file cannot be written, for example because the disk is full. It is left unchanged.
    """
    start = file.seek(0, os.SEEK_END)
    view = memoryview(b"".join(json.dumps(value).encode() + b"\n" for value in values))
    try:
        while view:
            view = view[file.write(view) :]
    except OSError:
        file.truncate(start)  # the next line would be appended to an incomplete one
        raise
    os.fdatasync(file.fileno())
