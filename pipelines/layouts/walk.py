"""Finds the videos and lists below a source, and reports what was skipped."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.layouts.entry import File, Passed

# FFmpeg reads more formats. This list only distinguishes videos from other files next to them.
VIDEO_SUFFIXES = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"}
    | {".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"}
)
LIST_SUFFIXES = frozenset({".csv", ".txt"})

# Folders that operating systems create for thumbnails, deleted files and metadata.
_SYSTEM_FOLDERS = frozenset(
    {"$RECYCLE.BIN", "System Volume Information", "@eaDir", "__MACOSX", "lost+found"}
)


@dataclass(frozen=True)
class Tree:
    """The videos (names by folder) and lists (.csv, .txt) in or below a source, sorted by folder."""

    folders: list[tuple[Path, list[str]]] = field(default_factory=list)
    lists: list[Path] = field(default_factory=list)
    passed: Passed = field(default_factory=Passed)

    @property
    def videos(self) -> Iterator[File]:
        """The videos. They are made anew each time: a caller that keeps all of them needs more memory."""
        return (File(folder, name) for folder, names in self.folders for name in names)


def walk(source: Path) -> Tree:
    """Find the files of ``source`` (which may be one video) in one pass, without a stat call per file.

    Hidden files and folders are skipped. Links to folders are followed, but each folder is read only once,
    under its real path if that is below the source, so that there are no endless loops and no duplicate
    videos. A folder named like a video is listed too, so that it is reported as rejected.
    """
    if source.is_file():
        return Tree([(source.parent, [source.name])])
    tree = Tree()
    for folder, names, inner in sorted(_folders(source, tree.passed)):
        parent = Path(folder)
        videos: list[str] = []
        tree.folders.append((parent, videos))
        for name in names:
            stem, dot, suffix = name.rpartition(".")
            kind = (dot + suffix).lower()
            if name.startswith("."):
                tree.passed.add("hidden files", _below(source, parent / name))
            elif stem and kind in VIDEO_SUFFIXES:
                videos.append(name)
            elif name in inner:
                continue
            elif stem and kind in LIST_SUFFIXES:
                tree.lists.append(parent / name)
            else:
                what = f"{kind} files" if stem else "files without a suffix"
                tree.passed.add(what, _below(source, parent / name))
    return tree


def _folders(source: Path, passed: Passed) -> Iterator[tuple[str, list[str], set[str]]]:
    """Yield (folder, sorted names of its files and folders, names of its folders) for each folder."""

    def unreadable(error: OSError) -> None:
        passed.add(
            "unreadable folders", f"{_below(source, Path(error.filename))}: {error.strerror}"
        )

    top = source.resolve()
    # A link to a folder above the source would add everything next to the source.
    seen = {_identity(folder) for folder in (top, *top.parents)}
    links = [source]
    for start in links:  # grows during the loop: real folders come before links to them
        if start is not source and not _first_time(start, seen):
            passed.add("links to folders already read", _below(source, start))
            continue
        for folder, folders, files in os.walk(start, onerror=unreadable):
            inner = []
            for path in (Path(folder, name) for name in sorted(folders)):
                if path.name.startswith(".") or path.name in _SYSTEM_FOLDERS:
                    passed.add("hidden folders", _below(source, path))
                elif path.is_symlink():
                    links.append(path)
                elif _first_time(path, seen) or start is source:  # no links, so no loops
                    inner.append(path.name)
                else:
                    passed.add("folders already read", _below(source, path))
            folders[:] = inner
            yield folder, sorted([*files, *inner]), set(inner)


def _first_time(folder: Path, seen: set[tuple[int, int]]) -> bool:
    """Record a folder, and return whether it was seen for the first time."""
    try:
        identity = _identity(folder)
    except OSError:
        return True  # deleted or not permitted: os.walk reports it
    if identity in seen:
        return False
    seen.add(identity)
    return True


def _identity(folder: Path) -> tuple[int, int]:
    """Return a folder's device and inode, which identify it whatever the path."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def _below(source: Path, path: Path) -> str:
    return path.relative_to(source).as_posix()
