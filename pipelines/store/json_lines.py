"""The JSON-lines files of a store, which a killed writer may leave with half a line at the end."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pipelines.errors import FastrotError


def line_files(store: Path, kind: str) -> list[Path]:
    """Return the files of the ``kind`` "manifest" or "rejected": the store's own, then one a part.

    Parts are what ``fastrot prepare --shard i/n`` writes, such as manifest-1of8.jsonl.
    """
    return [store / f"{kind}.jsonl", *sorted(store.glob(f"{kind}-*of*.jsonl"))]


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file, each of which has a "name"; nothing if the file is absent.

    A last line without its end is what a killed writer leaves: it is skipped, since its bytes were never
    promised.

    Raises:
        FastrotError: a line is not JSON, or not such an object; names it.
    """
    for number, chunk in _line_chunks(path):
        try:
            # One call for many lines: a manifest may have a million.
            lines = json.loads(b"[" + b",".join(chunk) + b"]")
        except ValueError:
            lines = [_value(line) for line in chunk]
        for line_number, line in enumerate(lines, number):
            if not (isinstance(line, dict) and isinstance(line.get("name"), str)):
                raise FastrotError(
                    f"{path}, line {line_number}, is not an object with a name: it is damaged"
                )
            yield line


def _value(line: bytes) -> Any:
    """Return a line's value, None where it is not JSON."""
    try:
        return json.loads(line)
    except ValueError:
        return None


@contextmanager
def refusing_damage(what: Path | str) -> Iterator[None]:
    """Raise FastrotError, which says that ``what`` is damaged, where a value has an impossible form."""
    try:
        yield
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError) as error:
        raise FastrotError(f"{what} is damaged: {error!r}") from None


def _line_chunks(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Yield (number of the first line, whole lines) of a file, a few thousand lines at a time."""
    if not path.exists():
        return
    with path.open("rb") as file:
        number = 1
        while lines := file.readlines(1 << 20):
            if not lines[-1].endswith(b"\n"):
                lines.pop()
            if lines:
                yield number, lines
            number += len(lines)


def open_lines(path: Path) -> BinaryIO:
    """Open a JSON-lines file for appending, after cutting off a last line without its end."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
    data = file.read()
    file.truncate(data.rfind(b"\n") + 1)
    return file


def append_lines(file: BinaryIO, values: Sequence[dict[str, Any]]) -> None:
    """Append objects to a file of ``open_lines`` and sync it: a crash leaves whole lines and half a last one.

    Raises:
        OSError: the disk is full, for example; the file is what it was.
    """
    start = file.seek(0, os.SEEK_END)
    view = memoryview(b"".join(json.dumps(value).encode() + b"\n" for value in values))
    try:
        while view:
            view = view[file.write(view) :]
    except OSError:
        file.truncate(start)  # half a line would spoil the next one
        raise
    os.fdatasync(file.fileno())
