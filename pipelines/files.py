"""Atomic file writing."""

import contextlib
import csv
import io
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipelines.errors import FastrotError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, then sync that file and rename it to ``path``.

    Readers see either the old file or the new one, never a partial one, even after a crash or with several
    writers. The folder is created if it does not exist.

    Raises:
        FastrotError: The file cannot be written. An existing file of that name is kept.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")  # unique across nodes
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        with contextlib.suppress(OSError):  # some file systems cannot sync folders
            _sync(path.parent)
    # torch reports a full disk as a RuntimeError.
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FastrotError(f"{path} cannot be written: {reason}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file atomically (see ``replacing``). Text is encoded as UTF-8."""
    if isinstance(content, str):
        # File names may contain bytes that are not valid UTF-8.
        content = content.encode(errors="surrogateescape")
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV table atomically."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    write_file(path, text.getvalue())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
