"""Reads the lists published with data sets. Errors name the file and the line."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pipelines.errors import FastrotError


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number (from 1) and the stripped text of each non-blank line.

    Raises:
        FastrotError: The file cannot be read, or is not UTF-8.
    """
    with _reading(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line.strip()


def read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number (from 1) and the stripped fields of each non-blank row.

    Raises:
        FastrotError: The file cannot be read, or is neither UTF-8 nor CSV.
    """
    with _reading(path) as file:
        rows = csv.reader(file)
        try:
            for row in rows:
                fields = [text.strip() for text in row]
                if any(fields):
                    yield rows.line_num, fields
        except csv.Error as error:
            raise malformed(path, rows.line_num, str(error)) from error


def read_header(path: Path) -> list[str]:
    """Return the fields of the first line of any file, which need not be a CSV file.

    Raises:
        FastrotError: The file cannot be read.
    """
    with _reading(path, errors="replace") as file:
        return [text.strip().strip('"') for text in file.readline().split(",")]


def malformed(path: Path, number: int, problem: str) -> FastrotError:
    """Return the error for a malformed line ``number`` (from 1) of a list."""
    return FastrotError(f"{path}, line {number}: {problem}; correct or remove the line")


@contextmanager
def _reading(path: Path, errors: str = "strict") -> Iterator[TextIO]:
    """Open a list in UTF-8, with or without a byte order mark."""
    try:
        with path.open(encoding="utf-8-sig", errors=errors, newline="") as file:
            yield file
    except OSError as error:
        raise FastrotError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FastrotError(f"{path} is not UTF-8 text: convert it or download it again") from error
