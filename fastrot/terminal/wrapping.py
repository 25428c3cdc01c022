"""Breaks lines between words, so that a narrow terminal does not break them inside a word."""

import shutil
import textwrap
from typing import TextIO

ROOM = 36
"""Columns left to the text of an indented line, as far as the terminal has them."""


def wrapped(text: str, width: int, *, hang: int = 0) -> str:
    """Break lines longer than ``width`` between words.

    A longer word, such as a path, is left to the terminal, which keeps it in one piece when it is copied.

    Args:
        text: Any number of lines.
        width: Columns of the terminal.
        hang: Columns by which the rest of a broken line is indented. This and the indentation of the line
            itself shrink where they would leave less than ``ROOM`` columns.
    """
    return "\n".join(_broken(line, width, hang) for line in text.split("\n"))


def fit(text: str, stream: TextIO) -> str:
    """Return ``text`` as it is printed to ``stream``: wrapped if that is a terminal, else unchanged."""
    return wrapped(text, shutil.get_terminal_size().columns) if stream.isatty() else text


def _broken(line: str, width: int, hang: int) -> str:
    if len(line) <= width:
        return line
    most = max(2, width - ROOM)
    words = line.lstrip(" ")
    parts = textwrap.wrap(
        words,
        width,
        initial_indent=" " * min(len(line) - len(words), most),
        subsequent_indent=" " * min(hang, most),
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        expand_tabs=False,
    )
    return "\n".join(parts)
