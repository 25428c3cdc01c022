"""What a layout finds: the files below a source, and the entries that they make."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

# What FFmpeg reads is more than this list; it only tells a video from the README beside it.
VIDEO_SUFFIXES = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"}
    | {".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"}
)
LIST_SUFFIXES = frozenset({".csv", ".txt"})


@dataclass(frozen=True)
class Entry:
    """One video: where it lies, its name (unique in the data set), its class and its splits."""

    path: Path
    name: str
    label: str | None = None
    splits: tuple[str, ...] = ()


@dataclass
class Listing:
    """The videos of a data set, its classes in the order of their labels, and what is listed but absent.

    ``source`` is its folder, by which a store tells data sets apart.
    """

    entries: list[Entry]
    classes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    source: Path | None = None

    def prefixed(self, prefix: str) -> "Listing":
        """Return the same videos under names that begin with ``prefix`` and a slash."""
        return replace(
            self,
            entries=[replace(entry, name=f"{prefix}/{entry.name}") for entry in self.entries],
            missing=[f"{prefix}/{name}" for name in self.missing],
        )


@dataclass
class Listed:
    """What the official lists say of one video."""

    label: str | None
    splits: list[str] = field(default_factory=list)


class File(NamedTuple):
    """A file on disk. Its folder is shared: a Path for each of half a million files takes long."""

    folder: Path
    name: str

    @property
    def path(self) -> Path:
        """The file's path."""
        return self.folder / self.name

    @property
    def stem(self) -> str:
        """The name without its last suffix."""
        return self.name.rpartition(".")[0]

    @property
    def tail(self) -> str:
        """The last two parts of the path, "class/file"."""
        return f"{self.folder.name}/{self.name}"


@dataclass(frozen=True)
class Tree:
    """The videos and the lists (.csv, .txt) at or below a source, in the order of their folders."""

    videos: list[File]
    lists: list[Path]


def walk(source: Path) -> Tree:
    """Find the files of ``source`` (which may be one video) in one pass, without a stat for each.

    Hidden files are passed over, and links to folders are not followed. A folder that is called like a
    video is listed too, so that somebody hears of it.
    """
    if source.is_file():
        return Tree([File(source.parent, source.name)], [])
    tree = Tree([], [])
    for folder, folders, names in sorted(os.walk(source)):
        parent = Path(folder)
        for name in sorted([*names, *folders]):
            stem, dot, suffix = name.rpartition(".")
            if not stem or name.startswith("."):
                continue
            kind = (dot + suffix).lower()
            if kind in VIDEO_SUFFIXES:
                tree.videos.append(File(parent, name))
            elif kind in LIST_SUFFIXES and name in names:
                tree.lists.append(parent / name)
    return tree


def find_videos(source: Path) -> list[Path]:
    """Return the video files at or below ``source``, sorted; links to folders are not followed."""
    # The order of Path itself, at a fraction of its time.
    return sorted((video.path for video in walk(source).videos), key=lambda path: path.parts)


def index_videos(videos: Iterable[File], key: Callable[[File], str]) -> dict[str, File]:
    """Map each video's key to the video; the first of several with one key stays."""
    index: dict[str, File] = {}
    for video in videos:
        index.setdefault(key(video), video)
    return index


def match(listed: Mapping[str, Listed], on_disk: Mapping[str, File], classes: list[str]) -> Listing:
    """Join what is listed with what is on disk, by name; the rest of the listed is missing."""
    names = sorted(listed)
    entries = [
        Entry(
            on_disk[name].path, name, listed[name].label, tuple(dict.fromkeys(listed[name].splits))
        )
        for name in names
        if name in on_disk
    ]
    return Listing(entries, classes, missing=[name for name in names if name not in on_disk])
