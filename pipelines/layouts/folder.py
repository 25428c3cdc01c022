"""A plain folder of videos, with or without a folder per class."""

from pathlib import Path

from pipelines.layouts.entry import Entry, Listing, find_videos

SPLIT_FOLDERS = frozenset({"train", "val", "valid", "validation", "test"})


def read(source: Path) -> Listing:
    """List every video below ``source`` (which may be one file).

    Folders named train, val or test at the top give the splits. Where every video lies in exactly
    one further folder, and there are two or more of them, these are the classes; else the videos
    are unlabelled.
    """
    root = source.parent if source.is_file() else source
    names = [path.relative_to(root) for path in find_videos(source)]
    has_splits = bool(names) and all(
        len(name.parts) > 1 and name.parts[0].lower() in SPLIT_FOLDERS for name in names
    )
    depth = 1 if has_splits else 0
    folders = {name.parts[depth] for name in names if len(name.parts) == depth + 2}
    labelled = len(folders) > 1 and all(len(name.parts) == depth + 2 for name in names)
    entries = [
        Entry(
            path=root / name,
            name=name.as_posix(),
            label=name.parts[depth] if labelled else None,
            splits=(name.parts[0].lower(),) if has_splits else (),
        )
        for name in names
    ]
    return Listing(entries, classes=sorted(folders) if labelled else [])
