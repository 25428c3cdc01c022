"""The result of reading a layout: videos with labels and splits, and warnings for the user."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

SHOWN = 3
"""The number of names shown as examples in a message."""


@dataclass(frozen=True)
class Entry:
    """One video: its path, its name (unique in the data set), its class and its splits."""

    path: Path
    name: str
    label: str | None = None
    splits: tuple[str, ...] = ()


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, such as "1 video" or "1,200 videos"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def some(names: Sequence[str], separator: str = ", ") -> str:
    """Return the first few ``names``, followed by "..." if there are more."""
    return separator.join([*names[:SHOWN], *["..."] * (len(names) > SHOWN)])


class Passed:
    """Skipped files and folders: the count and the first few names of each kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.names: dict[str, list[str]] = {}

    def add(self, kind: str, name: str) -> None:
        """Add a file or folder of ``kind``, such as "hidden folders"."""
        self.counts[kind] += 1
        names = self.names.setdefault(kind, [])
        if len(names) <= SHOWN:
            names.append(name)

    def __str__(self) -> str:
        """Return such as "hidden folders: 2 (.git, .cache); .jpg files: 1 (a.jpg)", most frequent first."""
        return "; ".join(
            f"{kind}: {count:,} ({some(self.names[kind])})"
            for kind, count in self.counts.most_common()
        )


@dataclass
class Listing:
    """The videos of a data set, with warnings for the user.

    ``classes`` are in the order of their labels, ``missing`` are the listed videos that are not on disk,
    ``warnings`` are sentences, and ``passed`` counts the files below the source that were skipped.
    ``source`` is the data set's folder, by which a store distinguishes data sets.
    """

    entries: list[Entry]
    classes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    passed: Passed = field(default_factory=Passed)
    source: Path | None = None

    def prefixed(self, prefix: str) -> "Listing":
        """Return the same videos with ``prefix`` and a slash before their names."""
        return replace(
            self,
            entries=[replace(entry, name=f"{prefix}/{entry.name}") for entry in self.entries],
            missing=[f"{prefix}/{name}" for name in self.missing],
        )
