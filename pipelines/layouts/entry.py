"""The result of reading a layout: videos with labels and splits, and warnings for the user."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

SHOWN = 3
"""The number of names shown as examples in a message."""


class File(NamedTuple):
    """A file on disk. Files of a folder share its Path: a Path takes ten times the memory of a name."""

    folder: Path
    name: str

    @property
    def path(self) -> Path:
        """The file's path."""
        return self.folder / self.name

    @property
    def tail(self) -> str:
        """The last two parts of the path, "class/file"."""
        return f"{self.folder.name}/{self.name}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One video: its file, its name (unique in the data set), its class and its splits.

    Layouts give a ``File`` and share equal splits between entries, because a data set may have a million.
    """

    file: File | Path
    name: str
    label: str | None = None
    splits: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The video's path."""
        return self.file.path if isinstance(self.file, File) else self.file


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
