"""A plain folder of videos, with or without one folder per class."""

from pathlib import Path

from pipelines.layouts.entry import Entry, File, Listing, counted, some
from pipelines.layouts.walk import walk

Parts = tuple[str, ...]
"""A path below the source, such as ("train", "run", "a.mp4")."""

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
    folders = {folder: folder.relative_to(root).parts for folder, _ in tree.folders}

    def parts(video: File) -> Parts:
        return (*folders[video.folder], video.name)

    # The same order as sorting Paths, but faster, and in a fifth of the memory.
    videos = sorted(tree.videos, key=parts)
    has_splits, classes, warnings = _structure(list(map(parts, videos)))
    depth = 1 if has_splits else 0
    splits = {top[0]: (top[0].lower(),) for top in folders.values() if top and has_splits}
    entries = []
    for video in videos:
        name = parts(video)
        label = name[depth] if classes else None
        entries.append(Entry(video, "/".join(name), label, splits.get(name[0], ())))
    return Listing(entries, classes, warnings=warnings, passed=tree.passed)


def _structure(names: list[Parts]) -> tuple[bool, list[str], list[str]]:
    """Return whether the top-level folders are splits, the classes, and warnings."""
    has_splits, warnings = _splits(names)
    classes, more = _classes(names, 1 if has_splits else 0)
    if not has_splits and len(_split_folders(names)) > 1:
        classes, more = [], []  # train, val and a third folder are not classes
    return has_splits, classes, warnings + more


def _split_folders(names: list[Parts]) -> list[str]:
    """Return the top-level folders that have the name of a split."""
    tops = {name[0] for name in names if len(name) > 1}
    return sorted(top for top in tops if top.lower() in SPLIT_FOLDERS)


def _splits(names: list[Parts]) -> tuple[bool, list[str]]:
    """Return whether the top-level folders are splits, and a warning if only some videos are in them."""
    folders = _split_folders(names)
    outside = [name for name in names if len(name) == 1 or name[0] not in folders]
    if folders and outside:
        return False, [
            f"the folders {', '.join(folders)} are not used as splits, because {_some(outside)} outside "
            "them: move these videos into one of them or out of the data set, or define splits with --list"
        ]
    return bool(folders), []


def _classes(names: list[Parts], depth: int) -> tuple[list[str], list[str]]:
    """Return the classes, below ``depth`` folders for the splits, and a warning if only some videos fit."""
    folders = sorted({name[depth] for name in names if len(name) == depth + 2})
    elsewhere = [name for name in names if len(name) != depth + 2]
    if folders and not elsewhere and len(folders) == 1:
        return [], [f"no classes were found: all videos are in one folder, {folders[0]}"]
    if not elsewhere:
        return folders, []
    if not folders and all(len(name) == depth + 1 for name in names):
        return [], []  # all videos are in the top folder: no classes intended
    where = f"the folders {some(folders)}" if folders else "one folder for each class"
    return [], [
        f"no classes were found, because {_some(elsewhere)} not directly in {where}: move these videos into "
        "a class folder or out of the data set, or define classes with --list"
    ]


def _some(names: list[Parts]) -> str:
    examples = some(["/".join(name) for name in names])
    return f"{counted(len(names), 'video')} ({examples}) {'is' if len(names) == 1 else 'are'}"
