"""What a layout finds: the videos with their labels and splits, and what to say about them."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.layouts.walk import Passed


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
