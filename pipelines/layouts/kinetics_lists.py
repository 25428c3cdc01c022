"""Finds and reads the CSV lists of Kinetics, and checks whether they belong together."""

import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.layouts.choice import two_choices
from pipelines.layouts.lists import malformed, read_header, read_rows

_SPLITS = {
    **{"train": "train", "training": "train"},
    **{"val": "val", "validate": "val", "validation": "val"},
    # Kinetics-600 has a second test set, kinetics600_holdout_test.csv.
    **{"test": "test", "holdout": "holdout"},
}

Facts = tuple[tuple[str, tuple[str, ...]], ...]
"""The labels of a clip ("" if a list gives none), each with its splits. Equal ones are one object."""

Rows = dict[str, Facts]
"""The facts by clip, "<youtube_id>_<start>_<end>"."""


@dataclass(frozen=True)
class _SplitList:
    """One split of one list: its clips and their labels."""

    path: Path
    labels: dict[str, frozenset[str]]


def read_lists(source: Path, paths: Sequence[Path]) -> tuple[Rows, list[str]]:
    """Read the official lists among ``paths``, and return their rows and warnings.

    Several lists of one split may be parts of it, copies, or versions with and without labels.

    Raises:
        FastrotError: A list is malformed.
        UsageError: Two lists of one split are different versions of it.
    """
    rows: Rows = {}
    by_split: dict[str, list[_SplitList]] = {}
    for path in paths:
        own: dict[str, _SplitList] = {}
        for clip, label, split in _open_list(path) or ():
            rows[clip] = _add_row(rows.get(clip, ()), label, split)
            labels = own.setdefault(split, _SplitList(path, {})).labels
            labels[clip] = _add_label(labels.get(clip, frozenset()), label)
        for split, found in own.items():
            by_split.setdefault(split, []).append(found)
    warnings = [
        f"the split {split} combines {len(lists)} lists: "
        + ", ".join(str(found.path) for found in lists)
        for split, lists in by_split.items()
        if _are_parts(source, lists)
    ]
    for clip, facts in rows.items():
        rows[clip] = _fill_labels(facts)
    return rows, warnings


# The caches make equal results one object: a data set has half a million clips, but few labels and splits.
@functools.cache
def _add_row(facts: Facts, label: str, split: str) -> Facts:
    """Return ``facts`` with the row of a list."""
    splits = dict(facts)
    splits[label] = (*splits.get(label, ()), split)
    return tuple(splits.items())


@functools.cache
def _add_label(labels: frozenset[str], label: str) -> frozenset[str]:
    return labels | {label}


def _are_parts(source: Path, lists: list[_SplitList]) -> bool:
    """Return whether lists of one split are parts of it. Raise UsageError if they are different versions."""
    parts = False
    for first, second in itertools.combinations(lists, 2):
        common = first.labels.keys() & second.labels.keys()
        contained = len(common) in (0, len(first.labels), len(second.labels))
        if not contained or not all(
            _agree(first.labels[clip], second.labels[clip]) for clip in common
        ):
            raise two_choices(source, first.path, second.path)
        parts |= first.labels.keys() != second.labels.keys()
    return parts


def _agree(first: frozenset[str], second: frozenset[str]) -> bool:
    """Return whether two lists give a clip the same labels, or one list gives none."""
    return first == second or {""} in (first, second)


@functools.cache
def _fill_labels(facts: Facts) -> Facts:
    """Merge a clip's rows without a label into its labelled rows, and drop repeated splits.

    The test lists were first published without labels, later with labels.
    """
    splits = dict(facts)
    unlabelled = splits.pop("", ()) if len(splits) > 1 else ()
    return tuple(
        (label, tuple(dict.fromkeys([*own, *unlabelled]))) for label, own in splits.items()
    )


def _open_list(path: Path) -> Iterator[tuple[str, str, str]] | None:
    """Return the rows of a list, or None if the file is not a Kinetics list."""
    if path.suffix.lower() != ".csv":
        return None
    header = read_header(path)
    named = _split_of(path.stem)
    if not {"youtube_id", "time_start", "time_end"} <= set(header):
        return None
    if "split" not in header and named is None:
        return None
    return _read_list(path, named)


def _read_list(path: Path, named: str | None) -> Iterator[tuple[str, str, str]]:
    """Yield (clip, label, split) for each row. ``named`` is the split in the file's name."""
    rows = read_rows(path)
    _, header = next(rows)
    column = {name: index for index, name in enumerate(header)}
    for number, row in rows:
        if len(row) < len(header):
            raise malformed(
                path, number, f"the row has {len(row)} fields, the header has {len(header)}"
            )
        start, end = row[column["time_start"]], row[column["time_end"]]
        if not row[column["youtube_id"]] or not start.isdecimal() or not end.isdecimal():
            raise malformed(
                path, number, "youtube_id is empty, or time_start or time_end is not a whole number"
            )
        split = named
        if "split" in column and row[column["split"]]:
            split = _split_of(row[column["split"]])
        if split is None:
            raise malformed(path, number, "the split is not train, val, validate or test")
        clip = f"{row[column['youtube_id']]}_{int(start):06d}_{int(end):06d}"
        yield clip, row[column["label"]] if "label" in column else "", split


@functools.cache
def _split_of(text: str) -> str | None:
    """Return the first split named in a text such as "kinetics-400_train"."""
    words = re.findall("[a-z]+", text.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)
