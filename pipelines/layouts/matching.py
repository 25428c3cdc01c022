"""Joins what the official lists name with what is on disk."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pipelines.layouts.entry import SHOWN, Entry, Listing, Passed, counted, some
from pipelines.layouts.walk import VIDEO_SUFFIXES, File, Tree


@dataclass
class Listed:
    """What the official lists say of one video."""

    label: str | None
    splits: list[str] = field(default_factory=list)


@dataclass
class Found:
    """Where the listed videos are on disk, by their listed names; warnings; and what is left over."""

    on_disk: dict[str, File] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    passed: Passed = field(default_factory=Passed)


def match(listed: Mapping[str, Listed], found: Found, classes: list[str]) -> Listing:
    """Join what is listed with what was found, by name; the rest of the listed is missing."""
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
    """Find listed videos on disk, by name, else by name without suffixes: they may have been converted.

    Args:
        names: as the lists have them, such as "Archery/v_Archery_g01_c01.avi".
        tree: the files on disk.
        name_of: a file's name in the form of ``names``.
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
        found.passed.add("videos that no list names", name_of(video))
    if converted_names:
        name = converted_names[0]
        found.warnings.append(
            f"{counted(len(converted_names), 'video')} matched without the suffix, which differs from the "
            f"lists' ({found.on_disk[name].name} for {name})"
        )
    found.warnings += doubles_warning(doubles) + _near_misses(missing, map(name_of, left))
    return found


def bare(name: str) -> str:
    """Return a name without its video suffixes, however many: "a/x" of "a/x.avi.mp4"."""
    while True:
        stem, dot, suffix = name.rpartition(".")
        if not stem or (dot + suffix).lower() not in VIDEO_SUFFIXES:
            return name
        name = stem


def folded(name: str) -> str:
    """Return a name such that those that differ in case, spaces, "_", "-" or "+" only are equal."""
    return re.sub(r"[\s_+-]+", "", unicodedata.normalize("NFKC", name).casefold())


def doubles_warning(doubles: list[tuple[File, File]]) -> list[str]:
    """Return a warning of pairs (the file that was taken, another one of the same listed video)."""
    if not doubles:
        return []
    shown = some([f"{taken.path} instead of {other.path}" for taken, other in doubles], "; ")
    return [
        f"{counted(len(doubles), 'file')} not taken, as another file of the same video was ({shown}): "
        "remove those you do not want"
    ]


def near_classes(classes: Iterable[str]) -> list[str]:
    """Warn of classes whose names differ in case, spaces or underscores only."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(folded(name), []).append(name)
    return [
        f"the classes {' and '.join(map(repr, names))} are spelt nearly alike, but count as "
        f"{len(names)} classes: if they are one, give them one name"
        for names in groups.values()
        if len(names) > 1
    ]


def _near_misses(missing: list[str], left: Iterable[str]) -> list[str]:
    """Warn of missing videos that are on disk under a name that is spelt otherwise."""
    if not missing:
        return []
    on_disk = {folded(bare(name)): name for name in left}
    renamed: Counter[tuple[str, str]] = Counter()
    for name in missing:
        if (near := on_disk.get(folded(bare(name)))) is not None:
            folders = _folder(near), _folder(name)
            renamed[folders if folders[0] != folders[1] else (near, name)] += 1
    warnings = [
        f"{near!r} on disk is spelt otherwise than {name!r} in the lists: rename it "
        f"({count:,} of the missing videos)"
        for (near, name), count in renamed.most_common(SHOWN)
    ]
    if len(renamed) > SHOWN:
        warnings.append(
            f"{len(renamed) - SHOWN:,} more names are spelt otherwise than in the lists"
        )
    return warnings


def _folder(name: str) -> str:
    return name.rpartition("/")[0]
