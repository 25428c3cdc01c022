"""Writing files so that each is there whole or not at all."""

import csv
import io
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines.errors import FastrotError


def write_file(path: Path, content: bytes) -> None:
    """Write a file by way of a temporary one, its folder made if absent.

    Raises:
        FastrotError: it cannot be written; an older file of that name is still there.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        # Where the folder itself is at fault there is no temporary file, and asking for it fails again.
        if path.parent.is_dir():
            temporary.unlink(missing_ok=True)
        raise FastrotError(f"{path} cannot be written: {error}") from None


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table in UTF-8 as ``write_file`` does."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    write_file(path, text.getvalue().encode())


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
