"""Writing an evaluation's files: each is there whole or not at all."""

import csv
import io
import os
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
