"""Writing files so that each is there whole or not at all."""

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
    """Give a temporary path to write to, then sync that file and rename it to ``path``.

    Readers find the old file or the new one, never half, also after a crash or with several writers. The
    folder is made if absent.

    Raises:
        FastrotError: The file cannot be written; an older one of that name is still there.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")  # unique over nodes
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        with contextlib.suppress(OSError):  # not every file system syncs folders
            _sync(path.parent)
    # torch reports a full disk as a RuntimeError.
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FastrotError(f"{path} cannot be written: {reason}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file as ``replacing`` does, text in UTF-8."""
    if isinstance(content, str):
        # Names of files may be bytes that are no text.
        content = content.encode(errors="surrogateescape")
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as ``write_file`` does."""
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
