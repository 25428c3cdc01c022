"""A plain folder of videos, with or without one folder per class."""

from pathlib import Path

from pipelines.layouts.entry import Entry, Listing, counted, some
from pipelines.layouts.walk import walk

SPLIT_FOLDERS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


def read(source: Path) -> Listing:
    """List every video below ``source`` (which may be one file).

    Top-level folders named train, val or test give the splits if every video is in one of them.
    If every video is exactly one folder further down, and there are two or more such folders, these are
    the classes. Otherwise the videos are unlabelled. Warnings name the videos that prevent this.
    """
    root = source.parent if source.is_file() else source
    tree = walk(source)
    for path in tree.lists:
        tree.passed.add(f"{path.suffix.lower()} files", path.relative_to(root).as_posix())
    # The same order as sorting Paths, but much faster.
    names = sorted(
        (video.path.relative_to(root) for video in tree.videos), key=lambda path: path.parts
    )
    has_splits, warnings = _splits(names)
    depth = 1 if has_splits else 0
    classes, more = _classes(names, depth)
    if not has_splits and len(_split_folders(names)) > 1:
        classes, more = [], []  # train, val and a third folder are not classes
    entries = [
        Entry(
            path=root / name,
            name=name.as_posix(),
            label=name.parts[depth] if classes else None,
            splits=(name.parts[0].lower(),) if has_splits else (),
        )
        for name in names
    ]
    return Listing(entries, classes, warnings=warnings + more, passed=tree.passed)


def _split_folders(names: list[Path]) -> list[str]:
    """Return the top-level folders that have the name of a split."""
    tops = {name.parts[0] for name in names if len(name.parts) > 1}
    return sorted(top for top in tops if top.lower() in SPLIT_FOLDERS)


def _splits(names: list[Path]) -> tuple[bool, list[str]]:
    """Return whether the top-level folders are splits, and a warning if only some videos are in them."""
    folders = _split_folders(names)
    outside = [name for name in names if len(name.parts) == 1 or name.parts[0] not in folders]
    if folders and outside:
        return False, [
            f"the folders {', '.join(folders)} are not used as splits, because {_some(outside)} outside "
            "them: move these videos into one of them or out of the data set, or define splits with --list"
        ]
    return bool(folders), []


def _classes(names: list[Path], depth: int) -> tuple[list[str], list[str]]:
    """Return the classes, below ``depth`` folders for the splits, and a warning if only some videos fit."""
    folders = sorted({name.parts[depth] for name in names if len(name.parts) == depth + 2})
    elsewhere = [name for name in names if len(name.parts) != depth + 2]
    if folders and not elsewhere and len(folders) == 1:
        return [], [f"no classes were found: all videos are in one folder, {folders[0]}"]
    if not elsewhere:
        return folders, []
    if not folders and all(len(name.parts) == depth + 1 for name in names):
        return [], []  # all videos are in the top folder: no classes intended
    where = f"the folders {some(folders)}" if folders else "one folder for each class"
    return [], [
        f"no classes were found, because {_some(elsewhere)} not directly in {where}: move these videos into "
        "a class folder or out of the data set, or define classes with --list"
    ]


def _some(names: list[Path]) -> str:
    examples = some([name.as_posix() for name in names])
    return f"{counted(len(names), 'video')} ({examples}) {'is' if len(names) == 1 else 'are'}"
