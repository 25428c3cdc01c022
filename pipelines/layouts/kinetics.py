"""Kinetics-400, -600 and -700 (Kay et al., 2017; section 4.1): official CSV lists, videos in any folders.

A list has a header with ``youtube_id``, ``time_start`` and ``time_end`` (whole seconds), and usually
``label`` and ``split``. A clip's file is named ``<youtube_id>_<start>_<end>`` with six-digit seconds, or just
``<youtube_id>``, in any folder and container: download tools name the class folders differently (spaces or
underscores), and the public archives have none.
"""

from collections import Counter
from pathlib import Path

from pipelines.errors import FastrotError
from pipelines.layouts.entry import Listing
from pipelines.layouts.kinetics_lists import read_lists
from pipelines.layouts.matching import Found, Listed, bare, doubles_warning, match
from pipelines.layouts.walk import File, Tree, walk

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
    by_clip = _find_clips(tree, {clip for clip, _ in rows})
    listed: dict[str, Listed] = {}
    found = Found(passed=tree.passed, warnings=[*warnings, *by_clip.warnings])
    for (clip, label), splits in rows.items():
        name = f"{label}/{clip}.mp4" if label else f"{clip}.mp4"
        listed[name] = Listed(label or None, splits)
        if clip in by_clip.on_disk:
            found.on_disk[name] = by_clip.on_disk[clip]
    return match(listed, found, classes=sorted({label for _, label in rows if label}))


def _find_clips(tree: Tree, clips: set[str]) -> Found:
    """Find the clips' files by full name, or else by id."""
    clips_of_id = Counter(map(_id_of, clips))
    # Maps each name that a clip's file may have to the clip.
    clip_of = {_id_of(clip): clip for clip in clips if clips_of_id[_id_of(clip)] == 1}
    clip_of |= {clip: clip for clip in clips}
    files: dict[str, list[File]] = {}
    found = Found(passed=tree.passed)
    for video in tree.videos:
        clip = clip_of.get(bare(video.name))
        if clip is None:
            found.passed.add("unlisted videos", video.tail)
        else:
            files.setdefault(clip, []).append(video)
    doubles: list[tuple[File, File]] = []
    for clip, videos in files.items():
        # A stable sort: replacements first, then full names, then the order of the walk.
        videos.sort(key=lambda video: (not _replaces(video), bare(video.name) not in clips))
        found.on_disk[clip] = videos[0]
        if not _replaces(videos[0]):
            doubles += [(videos[0], other) for other in videos[1:]]
    found.warnings += doubles_warning(doubles)
    return found


def _replaces(video: File) -> bool:
    return video.folder.name == _REPLACEMENTS


def _id_of(clip: str) -> str:
    """Return the YouTube id, which may contain underscores, of "<youtube_id>_<start>_<end>"."""
    return clip.rsplit("_", 2)[0]
