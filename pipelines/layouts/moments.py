"""Moments in Time (Monfort et al., 2019; section 4.1): training/class/file.mp4, validation/class/file.mp4.

``trainingSet.csv`` and ``validationSet.csv`` have rows "class/file.mp4,class,agreements,
disagreements" and no header; ``moments_categories.txt`` has rows "class,index".
"""

from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import FastrotError
from pipelines.layouts.choice import only_copy
from pipelines.layouts.entry import File, Listing
from pipelines.layouts.lists import malformed, read_rows
from pipelines.layouts.matching import Listed, find_listed, match
from pipelines.layouts.walk import walk

_CATEGORIES = "moments_categories.txt"
_SETS = {
    "trainingSet.csv": ("training", "train"),
    "validationSet.csv": ("validation", "val"),
}


def read(source: Path) -> Listing:
    """List the videos named in the official lists; splits are train and val.

    A video's name is its path below the data set's folder, "training/class/file.mp4", even if the file
    was converted (``file.mkv``). Labels are the indices in ``moments_categories.txt``.

    Raises:
        FastrotError: ``moments_categories.txt`` or both lists are missing, or one is malformed.
        UsageError: Two lists of the same name differ.
    """
    tree = walk(source)
    copies: dict[str, list[Path]] = {}
    for path in tree.lists:
        if path.name in (_CATEGORIES, *_SETS):
            copies.setdefault(path.name, []).append(path)
    files = {name: only_copy(source, paths) for name, paths in copies.items()}
    if _CATEGORIES not in files or not files.keys() & _SETS.keys():
        raise FastrotError(
            f"{source} must contain {_CATEGORIES} and trainingSet.csv or validationSet.csv, in it or "
            "below it, as in the archive of Moments in Time"
        )
    classes = _read_categories(files[_CATEGORIES])
    listed: dict[str, Listed] = {}
    for set_name, (folder, split) in _SETS.items():
        if set_name in files:
            for name, label in _read_set(files[set_name], set(classes)):
                listed.setdefault(f"{folder}/{name}", Listed(label)).splits.append(split)
    return match(listed, find_listed(listed, tree, _name_of), classes)


def _name_of(video: File) -> str:
    """Return the last three parts of a path, "training/class/file.mp4"."""
    return "/".join([*video.folder.parts[-2:], video.name])


def _read_categories(path: Path) -> list[str]:
    """Read rows such as "clapping,0". The classes are in the order of the indices, not of the rows."""
    by_index: dict[int, str] = {}
    for number, row in read_rows(path):
        if len(row) != 2 or not row[0] or not row[1].isdecimal():
            raise malformed(
                path, number, "the row is not a class and its index, such as 'clapping,0'"
            )
        if int(row[1]) in by_index or row[0] in by_index.values():
            raise malformed(path, number, f"class {row[0]!r} or index {row[1]} occurs twice")
        by_index[int(row[1])] = row[0]
    if sorted(by_index) != list(range(len(by_index))):
        raise FastrotError(
            f"{path}: the indices are not 0 to {len(by_index) - 1}: download it again"
        )
    return [by_index[index] for index in range(len(by_index))]


def _read_set(path: Path, classes: set[str]) -> Iterator[tuple[str, str]]:
    """Yield ("class/file.mp4", class) for each row."""
    for number, row in read_rows(path):
        if len(row) < 2 or row[0].count("/") != 1:
            raise malformed(
                path, number, "the row is not of the form 'clapping/x.mp4,clapping,3,0'"
            )
        if row[1] not in classes:
            raise malformed(path, number, f"class {row[1]!r} is not in {_CATEGORIES}")
        yield row[0], row[1]
