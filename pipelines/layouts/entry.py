"""What a layout finds."""

import os
from dataclasses import dataclass, field
from pathlib import Path

# What FFmpeg reads is more than this list; it only tells a video from the README beside it.
VIDEO_SUFFIXES = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"}
    | {".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"}
)


@dataclass(frozen=True)
class Entry:
    """One video: where it lies, its name (unique in the data set), its class and its splits."""

    path: Path
    name: str
    label: str | None = None
    splits: tuple[str, ...] = ()


@dataclass
class Listing:
    """The videos of a data set, its classes in the order of their labels, and what is listed but absent."""

    entries: list[Entry]
    classes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def find_videos(source: Path) -> list[Path]:
    """Return the video files at or below ``source``, sorted; links to folders are not followed."""
    if source.is_file():
        return [source]
    found = []
    for folder, _, names in os.walk(source):
        found += [Path(folder, name) for name in names if is_video_name(name)]
    return sorted(found)


def is_video_name(name: str) -> bool:
    """Tell a video from other files by its suffix; hidden files are none."""
    return Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith(".")
