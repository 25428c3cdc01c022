"""Matches the videos named in the official lists with the files on disk."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pipelines.layouts.entry import SHOWN, Entry, File, Listing, Passed, counted, some
from pipelines.layouts.walk import VIDEO_SUFFIXES, Tree


@dataclass(slots=True)
class Listed:
    """The label and splits that the official lists give one video."""

    label: str | None
    splits: list[str] = field(default_factory=list)


class Candidates:
    """The files of each video, in the order in which they were added.

    Nearly every video has one file, so only a further one costs a list.
    """

    def __init__(self) -> None:
        self.first: dict[str, File] = {}
        self.further: dict[str, list[File]] = {}

    def add(self, name: str, file: File) -> None:
        """Add a file of the video ``name``."""
        if self.first.setdefault(name, file) is not file:
            self.further.setdefault(name, []).append(file)

    def pop(self, name: str) -> list[File]:
        """Remove and return the files of a video."""
        first = self.first.pop(name, None)
        return [] if first is None else [first, *self.further.pop(name, ())]


@dataclass
class Found:
    """The listed videos' files by listed name, warnings, and the files that were skipped."""

    on_disk: dict[str, File] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    passed: Passed = field(default_factory=Passed)


def match(listed: Mapping[str, Listed], found: Found, classes: list[str]) -> Listing:
    """Join the listed videos with those found, by name. Listed videos that were not found are missing."""
    names = sorted(listed)
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    entries = []
    for name in names:
        if name in found.on_disk:
            splits = tuple(dict.fromkeys(listed[name].splits))
            splits = shared.setdefault(splits, splits)
            entries.append(Entry(found.on_disk[name], name, listed[name].label, splits))
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
    exact, converted = Candidates(), Candidates()
    listed = {name: name for name in names}
    for video in tree.videos:
        name = name_of(video)
        if name in listed:
            exact.add(listed[name], video)
        else:
            converted.add(bare(name), video)
    found = Found(passed=tree.passed)
    doubles: list[tuple[File, File]] = []
    converted_names, missing = [], []
    for name in sorted(listed):
        as_listed = exact.pop(name)
        candidates = as_listed + converted.pop(bare(name))
        if candidates:
            found.on_disk[name] = candidates[0]
            doubles += [(candidates[0], other) for other in candidates[1:]]
            if not as_listed:
                converted_names.append(name)
        else:
            missing.append(name)
    left = [video for name in list(converted.first) for video in converted.pop(name)]
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
