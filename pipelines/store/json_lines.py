"""The JSON-lines files of a store, which a killed writer may leave with half a line at the end."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pipelines.errors import FastrotError


def line_files(store: Path, kind: str) -> list[Path]:
    """Return the files of the ``kind`` "manifest" or "rejected": the store's own, then one a part.

    Parts are what ``fastrot prepare --shard i/n`` writes, such as manifest-1of8.jsonl.
    """
    return [store / f"{kind}.jsonl", *sorted(store.glob(f"{kind}-*of*.jsonl"))]


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file; nothing if it is absent.

    A last line without its end is what a killed writer leaves: it is passed over, as its bytes were
    never promised. Any other broken line is a FastrotError that names it.
    """
    for number, chunk in _line_chunks(path):
        try:
            # One call for many lines: a manifest may have a million.
            yield from json.loads(b"[" + b",".join(chunk) + b"]")
        except (ValueError, RecursionError):
            for line_number, line in enumerate(chunk, number):
                try:
                    json.loads(line)
                except (ValueError, RecursionError):
                    raise FastrotError(
                        f"{path}, line {line_number}, is not JSON: the file is damaged"
                    ) from None
            raise


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
