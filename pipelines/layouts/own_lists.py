"""User lists of videos and labels, one file per split, with lines such as "a/b.mp4 swimming".

A tab, comma or space separates the path from the label. Paths with spaces need no quotes. Labels with spaces
need a tab or a comma before them. The label is optional.
"""

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.errors import UsageError
from pipelines.layouts.entry import File, Listing, counted, some
from pipelines.layouts.lists import malformed, read_lines
from pipelines.layouts.matching import Listed, find_listed, match
from pipelines.layouts.walk import VIDEO_SUFFIXES, walk
from pipelines.store.reading import ALL


def read(source: Path, lists: Sequence[Path] = ()) -> Listing:
    """List the videos named in ``lists``, one split per list, such as "train" for ``train.csv``.

    Relative paths are relative to ``source``. A list named ``all`` makes no split. Classes are sorted as
    numbers if every label is a number, and alphabetically otherwise.

    Raises:
        UsageError: There are no lists, or two of them have the same name.
        FastrotError: A list cannot be read, a line is malformed, or a video has two labels.
    """
    if not lists:
        raise UsageError("--layout list needs --list FILE, once per split")
    root = source.parent if source.is_file() else source
    listed: dict[str, Listed] = {}
    for split, path in _by_split(lists).items():
        for number, (video, label) in _read_list(path):
            there = listed.setdefault(_name_of(root, video), Listed(label))
            if label is not None and there.label not in (None, label):
                raise malformed(
                    path,
                    number,
                    f"{video} has the label {label!r}, but an earlier line has {there.label!r}",
                )
            there.label = there.label if label is None else label
            there.splits += [split] if split != ALL else []
    found = find_listed(listed, walk(source), lambda video: video.path.relative_to(root).as_posix())
    for name in listed.keys() - found.on_disk.keys():
        # A listed file is used even if it is outside the source or in a hidden folder.
        path = root / name
        if path.exists():
            found.on_disk[name] = File(path.parent, path.name)
    listing = match(listed, found, _classes({video.label for video in listed.values()}))
    listing.warnings += _overlap(listed)
    return listing


def _by_split(lists: Sequence[Path]) -> dict[str, Path]:
    """Return the lists by split, which is the file's name without its suffix."""
    by_split: dict[str, Path] = {}
    for path in lists:
        if path.stem in by_split:
            raise UsageError(
                f"{by_split[path.stem]} and {path} both name the split {path.stem!r}: rename one"
            )
        by_split[path.stem] = path
    return by_split


def _read_list(path: Path) -> Iterator[tuple[int, tuple[str, str | None]]]:
    """Yield (line number, (path, label or None)) for each line."""
    for index, (number, line) in enumerate(read_lines(path)):
        fields = _fields(line)
        if fields is not None:
            yield number, fields
        elif index or any(suffix in line.lower() for suffix in VIDEO_SUFFIXES):
            raise malformed(
                path,
                number,
                f"{line!r} is not a video and its label, such as 'a/b.mp4 swimming' (the path must end "
                "with a video suffix; put a tab or a comma before a label with spaces)",
            )
        # otherwise it is a header


def _fields(line: str) -> tuple[str, str | None] | None:
    """Return the path and the label of a line, or None if it does not name a video."""
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
    """Return a listed path in normalised form, relative to ``root`` if it is below it."""
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
    """Return a warning about videos in several splits, which would make test results invalid."""
    shared = [name for name, video in listed.items() if len(set(video.splits)) > 1]
    return [
        f"{counted(len(shared), 'video')} named in more than one list ({some(shared)}): do not train on test "
        "videos"
    ] * bool(shared)
