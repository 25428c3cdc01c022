"""Own lists of videos and labels, one file for each split: lines such as "a/b.mp4 swimming".

A tab, a comma or a space separates path and label; paths with spaces need no quotes, labels with
spaces need a tab or a comma. A line without a label is a path alone.
"""

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.errors import UsageError
from pipelines.layouts.entry import Listing, counted, some
from pipelines.layouts.lists import malformed, read_lines
from pipelines.layouts.matching import Listed, find_listed, match
from pipelines.layouts.walk import VIDEO_SUFFIXES, File, walk
from pipelines.store.reading import ALL


def read(source: Path, lists: Sequence[Path] = ()) -> Listing:
    """List the videos that ``lists`` name, with a split for each list: "train" for ``train.csv``.

    Relative paths are below ``source``. A list called ``all`` makes no split. Classes are sorted: as
    numbers if every label is one, else by their letters.

    Raises:
        UsageError: there are no lists, or two of them have one name.
        FastrotError: a list cannot be read, a line is malformed, or a video has two labels.
    """
    if not lists:
        raise UsageError("--layout list needs --list FILE, once for each split")
    root = source.parent if source.is_file() else source
    listed: dict[str, Listed] = {}
    for split, path in _by_split(lists).items():
        for number, (video, label) in _read_list(path):
            there = listed.setdefault(_name_of(root, video), Listed(label))
            if label is not None and there.label not in (None, label):
                raise malformed(
                    path, number, f"{video} has the label {label!r}, but had {there.label!r} before"
                )
            there.label = there.label if label is None else label
            there.splits += [split] if split != ALL else []
    found = find_listed(listed, walk(source), lambda video: video.path.relative_to(root).as_posix())
    for name in listed.keys() - found.on_disk.keys():
        # Elsewhere on the machine, or in a hidden folder: what is named is wanted.
        path = root / name
        if path.exists():
            found.on_disk[name] = File(path.parent, path.name)
    listing = match(listed, found, _classes({video.label for video in listed.values()}))
    listing.warnings += _overlap(listed)
    return listing


def _by_split(lists: Sequence[Path]) -> dict[str, Path]:
    """Map the split's name, the file's without its suffix, to the list."""
    by_split: dict[str, Path] = {}
    for path in lists:
        if path.stem in by_split:
            raise UsageError(
                f"{by_split[path.stem]} and {path} both name the split {path.stem!r}: rename one"
            )
        by_split[path.stem] = path
    return by_split


def _read_list(path: Path) -> Iterator[tuple[int, tuple[str, str | None]]]:
    """Yield the line's number, the path and the label (None where there is none) of each line."""
    for index, (number, line) in enumerate(read_lines(path)):
        fields = _fields(line)
        if fields is not None:
            yield number, fields
        elif index or any(suffix in line.lower() for suffix in VIDEO_SUFFIXES):
            raise malformed(
                path,
                number,
                f"{line!r} is not a video and its label, such as 'a/b.mp4 swimming' (the path must end "
                "in a video's suffix; put a tab or a comma before a label that has spaces)",
            )
        # else the header


def _fields(line: str) -> tuple[str, str | None] | None:
    """Return the path and the label of a line, or None where it is something else."""
    if _is_video(line):
        return line, None
    for delimiter in "\t,":
        fields = [
            field.strip()
            for field in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
        ]
        if len(fields) <= 2 and _is_video(fields[0]):
            return fields[0], (fields[1] or None) if len(fields) == 2 else None
    video, _, label = line.rpartition(" ")
    video = video.strip().strip('"')
    return (video, label) if _is_video(video) else None


def _is_video(text: str) -> bool:
    stem, dot, suffix = text.rpartition(".")
    return bool(stem) and (dot + suffix).lower() in VIDEO_SUFFIXES


def _name_of(root: Path, video: str) -> str:
    """Return a listed path in its shortest form, relative to ``root`` where it is below it."""
    path = Path(os.path.normpath(video))
    top = root.absolute()
    if path.is_absolute() and path.is_relative_to(top):
        path = path.relative_to(top)
    return path.as_posix()


def _classes(labels: set[str | None]) -> list[str]:
    given = [label for label in labels if label is not None]
    if all(label.isdecimal() for label in given):
        return sorted(given, key=lambda label: (int(label), label))
    return sorted(given)


def _overlap(listed: dict[str, Listed]) -> list[str]:
    """Warn of videos in several splits: tests on what was trained on are worth nothing."""
    shared = [name for name, video in listed.items() if len(set(video.splits)) > 1]
    return [
        f"more than one list names {counted(len(shared), 'video')} ({some(shared)}): test videos should "
        "not be trained on"
    ] * bool(shared)
