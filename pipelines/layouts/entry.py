"""What a layout finds: the videos with their labels and splits, and what to say about them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

SHOWN = 3
"""How many names a sentence shows of many."""


@dataclass(frozen=True)
class Entry:
    """One video: where it lies, its name (unique in the data set), its class and its splits."""

    path: Path
    name: str
    label: str | None = None
    splits: tuple[str, ...] = ()


def counted(count: int, noun: str) -> str:
    """Return such as "1 video" or "1,200 videos"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def some(names: Sequence[str], separator: str = ", ") -> str:
    """Return the first of ``names``, and dots where there are more."""
    return separator.join([*names[:SHOWN], *["..."] * (len(names) > SHOWN)])


class Passed:
    """What was passed over: for each kind how many, and the first few names."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.names: dict[str, list[str]] = {}

    def add(self, kind: str, name: str) -> None:
        """Count one more of ``kind``, such as "hidden folders"."""
        self.counts[kind] += 1
        names = self.names.setdefault(kind, [])
        if len(names) <= SHOWN:
            names.append(name)

    def __str__(self) -> str:
        """Return such as "hidden folders: 2 (.git, .cache); .jpg files: 1 (a.jpg)", most first."""
        return "; ".join(
            f"{kind}: {count:,} ({some(self.names[kind])})"
            for kind, count in self.counts.most_common()
        )


@dataclass
class Listing:
    """The videos of a data set, and what its user should know.

    ``classes`` are in the order of their labels, ``missing`` names what is listed but not on disk,
    ``warnings`` are sentences, and ``passed`` counts what lies below the source but was not taken.
    ``source`` is the data set's folder, by which a store distinguishes data sets.
    """

    entries: list[Entry]
    classes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    passed: Passed = field(default_factory=Passed)
    source: Path | None = None

    def prefixed(self, prefix: str) -> "Listing":
        """Return the same videos under names that begin with ``prefix`` and a slash."""
        return replace(
            self,
            entries=[replace(entry, name=f"{prefix}/{entry.name}") for entry in self.entries],
            missing=[f"{prefix}/{name}" for name in self.missing],
        )
