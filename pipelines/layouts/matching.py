"""Matches the videos named in the official lists with the files on disk."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pipelines.layouts.entry import SHOWN, Entry, Listing, Passed, counted, some
from pipelines.layouts.walk import VIDEO_SUFFIXES, File, Tree


@dataclass
class Listed:
    """The label and splits that the official lists give one video."""

    label: str | None
    splits: list[str] = field(default_factory=list)


@dataclass
class Found:
    """The listed videos' files by listed name, warnings, and the files that were skipped."""

    on_disk: dict[str, File] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    passed: Passed = field(default_factory=Passed)


def match(listed: Mapping[str, Listed], found: Found, classes: list[str]) -> Listing:
    """Join the listed videos with those found, by name. Listed videos that were not found are missing."""
    names = sorted(listed)
    entries = [
        Entry(
            found.on_disk[name].path,
            name,
            listed[name].label,
            tuple(dict.fromkeys(listed[name].splits)),
        )
        for name in names
        if name in found.on_disk
    ]
    return Listing(
        entries,
        classes,
        missing=[name for name in names if name not in found.on_disk],
        warnings=found.warnings,
        passed=found.passed,
    )


def find_listed(names: Collection[str], tree: Tree, name_of: Callable[[File], str]) -> Found:
    """Find listed videos on disk by name, or else by name without suffixes, for converted files.

    Args:
        names: Names in the lists, such as "Archery/v_Archery_g01_c01.avi".
        tree: The files on disk.
        name_of: Returns a file's name in the form of ``names``.
    """
    exact: dict[str, list[File]] = {}
    converted: dict[str, list[File]] = {}
    listed = set(names)
    for video in tree.videos:
        name = name_of(video)
        if name in listed:
            exact.setdefault(name, []).append(video)
        else:
            converted.setdefault(bare(name), []).append(video)
    found = Found(passed=tree.passed)
    doubles: list[tuple[File, File]] = []
    converted_names, missing = [], []
    for name in sorted(listed):
        candidates = exact.get(name, []) + converted.pop(bare(name), [])
        if candidates:
            found.on_disk[name] = candidates[0]
            doubles += [(candidates[0], other) for other in candidates[1:]]
            if name not in exact:
                converted_names.append(name)
        else:
            missing.append(name)
    left = [video for videos in converted.values() for video in videos]
    for video in left:
        found.passed.add("unlisted videos", name_of(video))
    if converted_names:
        name = converted_names[0]
        found.warnings.append(
            f"{counted(len(converted_names), 'video')} matched by name without the suffix, which differs "
            f"from the lists ({found.on_disk[name].name} for {name})"
        )
    found.warnings += doubles_warning(doubles) + _near_misses(missing, map(name_of, left))
    return found


def bare(name: str) -> str:
    """Return a name without all its video suffixes: "a/x" for "a/x.avi.mp4"."""
    while True:
        stem, dot, suffix = name.rpartition(".")
        if not stem or (dot + suffix).lower() not in VIDEO_SUFFIXES:
            return name
        name = stem


def folded(name: str) -> str:
    """Normalise a name, so that names that differ only in case, spaces, "_", "-" or "+" are equal."""
    return re.sub(r"[\s_+-]+", "", unicodedata.normalize("NFKC", name).casefold())


def doubles_warning(doubles: list[tuple[File, File]]) -> list[str]:
    """Return a warning about pairs (file that is used, other file of the same listed video)."""
    if not doubles:
        return []
    shown = some([f"{taken.path} instead of {other.path}" for taken, other in doubles], "; ")
    return [
        f"{counted(len(doubles), 'file')} skipped, because another file of the same video is used "
        f"({shown}): remove the files you do not want"
    ]


def near_classes(classes: Iterable[str]) -> list[str]:
    """Return warnings about classes whose names differ only in case, spaces or punctuation."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(folded(name), []).append(name)
    return [
        f"the classes {' and '.join(map(repr, names))} have nearly the same name, but count as "
        f"{len(names)} classes: if they are the same class, give them one name"
        for names in groups.values()
        if len(names) > 1
    ]


def _near_misses(missing: list[str], left: Iterable[str]) -> list[str]:
    """Return warnings about missing videos that are on disk with a differently spelt name."""
    if not missing:
        return []
    on_disk = {folded(bare(name)): name for name in left}
    renamed: Counter[tuple[str, str]] = Counter()
    for name in missing:
        if (near := on_disk.get(folded(bare(name)))) is not None:
            folders = _folder(near), _folder(name)
            renamed[folders if folders[0] != folders[1] else (near, name)] += 1
    warnings = [
        f"{near!r} on disk is spelt differently from {name!r} in the lists: rename it "
        f"({count:,} of the missing videos)"
        for (near, name), count in renamed.most_common(SHOWN)
    ]
    if len(renamed) > SHOWN:
        warnings.append(f"{len(renamed) - SHOWN:,} more names are spelt differently from the lists")
    return warnings


def _folder(name: str) -> str:
    return name.rpartition("/")[0]
