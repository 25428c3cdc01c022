"""How values of a config are shown in messages, whatever they are and wherever they come from."""

import reprlib
import unicodedata
from typing import Any

_MOST = 80


class _Short(reprlib.Repr):
    """Values from strangers may refer to themselves a billion times over, or have a million digits."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxlist = self.maxtuple = self.maxdict = 8
        self.maxstring = self.maxlong = self.maxother = _MOST

    def repr_int(self, x: int, level: int) -> str:
        """Return an integer's digits, or how long it is where Python refuses to write it."""
        try:
            return super().repr_int(x, level)
        except ValueError:
            return f"a number of {x.bit_length()} bits"


_short = _Short()


def shown(value: Any) -> str:
    """Return a short text of a value, for a message."""
    return _short.repr(value)


def unprintable(text: str) -> bool:
    """Return whether a text has control characters, or halves of characters, which no path should have."""
    return any(unicodedata.category(c) in ("Cc", "Cs") for c in text)
