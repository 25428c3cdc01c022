"""Kinetics-400, -600 and -700 (Kay et al., 2017; section 4.1): official CSV lists, videos in any folders.

A list has a header with ``youtube_id``, ``time_start`` and ``time_end`` (whole seconds), and usually
``label`` and ``split``. A clip's file is named ``<youtube_id>_<start>_<end>`` with six-digit seconds, or just
``<youtube_id>``, in any folder and container: download tools name the class folders differently (spaces or
underscores), and the public archives have none.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipelines.errors import FastrotError
from pipelines.layouts.entry import Entry, File, Listing
from pipelines.layouts.kinetics_lists import Rows, read_lists
from pipelines.layouts.matching import Candidates, Found, bare, doubles_warning
from pipelines.layouts.walk import Tree, walk

# The public Kinetics-400 archives contain damaged files and, in this folder, their replacements.
_REPLACEMENTS = "replacement_for_corrupted_k400"


def read(source: Path) -> Listing:
    """List the clips of every official list in or below ``source``.

    Splits are train, val and test (and holdout, Kinetics-600's second test set). A clip's name is
    "label/<youtube_id>_<start>_<end>.mp4", wherever its file is on disk, and has no folder if no list gives a
    label. A file named by its id alone is used only if the lists have exactly one clip with that id. Classes
    are the lists' labels in alphabetical order.

    Raises:
        FastrotError: There is no official list, or one is malformed.
        UsageError: Two lists of one split are different versions of it.
    """
    tree = walk(source)
    rows, warnings = read_lists(source, tree.lists)
    if not rows:
        raise FastrotError(
            f"{source} contains no Kinetics list: put the official CSV files (train.csv, val.csv, "
            "test.csv) into it; they have the columns youtube_id, time_start, time_end and split"
        )
    classes = sorted({label for facts in rows.values() for label, _ in facts if label})
    found = _find_clips(tree, {clip: clip for clip in rows})
    del tree  # its lists of names are in the files now
    listing = _join(rows, found)
    listing.classes = classes
    listing.warnings = warnings + found.warnings
    return listing


def _join(rows: Rows, found: Found) -> Listing:
    """Make the entries. ``rows`` and ``found.on_disk`` are emptied, so that memory has every clip once."""
    listing = Listing([], passed=found.passed)
    clips, facts = list(rows), list(rows.values())
    files = [found.on_disk.get(clip) for clip in clips]
    rows.clear()
    found.on_disk.clear()
    while clips:
        clip, file = clips.pop(), files.pop()
        for label, splits in facts.pop():
            name = f"{label}/{clip}.mp4" if label else f"{clip}.mp4"
            if file is None:
                listing.missing.append(name)
            else:
                listing.entries.append(Entry(file, name, label or None, splits))
    listing.entries.sort(key=lambda entry: entry.name)
    listing.missing.sort()
    return listing


def _find_clips(tree: Tree, clips: Mapping[str, str]) -> Found:
    """Find the clips' files by full name, or else by id. ``clips`` maps each clip to the string to keep."""
    files = Candidates()
    others: list[File] = []
    found = Found(passed=tree.passed)
    for video in tree.videos:
        if (clip := clips.get(bare(video.name))) is not None:
            files.add(clip, video)
        else:
            others.append(video)
    clip_of = _only_clips({bare(video.name) for video in others}, clips)
    for video in others:
        if (clip := clip_of.get(bare(video.name))) is None:
            found.passed.add("unlisted videos", video.tail)
        else:
            files.add(clip, video)
    found.on_disk = files.first
    doubles: list[tuple[File, File]] = []
    for clip, further in files.further.items():
        # A stable sort: replacements first, then full names, then the order of the walk.
        videos = sorted([files.first[clip], *further], key=lambda video: not _replaces(video))
        found.on_disk[clip] = videos[0]
        if not _replaces(videos[0]):
            doubles += [(videos[0], other) for other in videos[1:]]
    found.warnings += doubles_warning(doubles)
    return found


def _only_clips(ids: set[str], clips: Iterable[str]) -> dict[str, str]:
    """Return the clip of each of ``ids`` that belongs to exactly one clip."""
    named = [clip for clip in clips if _id_of(clip) in ids] if ids else []
    count = Counter(map(_id_of, named))
    return {_id_of(clip): clip for clip in named if count[_id_of(clip)] == 1}


def _replaces(video: File) -> bool:
    return video.folder.name == _REPLACEMENTS


def _id_of(clip: str) -> str:
    """Return the YouTube id, which may contain underscores, of "<youtube_id>_<start>_<end>"."""
    return clip.rsplit("_", 2)[0]
