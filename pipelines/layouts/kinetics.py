"""Kinetics-400, -600 and -700 (Kay et al., 2017): the official CSV lists, videos in any folders.

A list has a header with ``youtube_id``, ``time_start`` and ``time_end`` (whole seconds), and mostly
``label`` and ``split``. A clip is the file ``<youtube_id>_<start>_<end>`` with the seconds in six
digits, or plain ``<youtube_id>``, in whatever folder and container: the folders for the classes
differ between tools (spaces or underscores), and the public archives have none.
"""

import functools
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from pipelines.errors import FastrotError
from pipelines.layouts.entry import File, Listed, Listing, index_videos, match, walk
from pipelines.layouts.lists import malformed, read_header, read_rows

_SPLITS = {
    **{"train": "train", "training": "train"},
    **{"val": "val", "validate": "val", "validation": "val"},
    # Kinetics-600 has a second test set, kinetics600_holdout_test.csv.
    **{"test": "test", "holdout": "holdout"},
}
# The public Kinetics-400 archives have broken files and, in this folder, their replacements.
_REPLACEMENTS = "replacement_for_corrupted_k400"

_Row = tuple[str, str, str]
"""A clip "<youtube_id>_<start>_<end>", its label ("" for none) and its split."""


def read(source: Path) -> Listing:
    """List the clips of every official list at or below ``source``.

    Splits are train, val and test (and holdout, of Kinetics-600's second test set). A clip's name
    is "label/<youtube_id>_<start>_<end>.mp4" however its file lies on disk, without the folder where
    no list gives a label. A file named by its id alone counts only where the lists have one clip of
    that id. Classes are the lists' labels in alphabetical order.

    Raises:
        FastrotError: there is no official list, or one is malformed.
    """
    tree = walk(source)
    lists = [found for path in tree.lists if (found := _open_list(path)) is not None]
    if not lists:
        raise FastrotError(
            f"{source} has no Kinetics list: put the official CSV files (train.csv, val.csv, "
            "test.csv) below it; they have the columns youtube_id, time_start, time_end and split"
        )
    rows: dict[tuple[str, str], list[str]] = {}
    for clip, label, split in itertools.chain.from_iterable(lists):
        rows.setdefault((clip, label), []).append(split)
    find = _finder(tree.videos, {clip for clip, _ in rows})
    listed: dict[str, Listed] = {}
    on_disk: dict[str, File] = {}
    for (clip, label), splits in _fill_labels(rows).items():
        name = f"{label}/{clip}.mp4" if label else f"{clip}.mp4"
        listed[name] = Listed(label or None, splits)
        if (video := find(clip)) is not None:
            on_disk[name] = video
    return match(listed, on_disk, classes=sorted({label for _, label in rows if label}))


def _finder(videos: list[File], clips: set[str]) -> Callable[[str], File | None]:
    """Return the function that finds a clip's video, by its whole name, else by its id alone."""
    # A stable sort: the replacements first, else the order of the walk.
    preferred = sorted(videos, key=lambda video: video.folder.name != _REPLACEMENTS)
    by_stem = index_videos(preferred, lambda video: video.stem)
    clips_of_id = Counter(_id_of(clip) for clip in clips)

    def find(clip: str) -> File | None:
        video = by_stem.get(clip)
        if video is None and clips_of_id[_id_of(clip)] == 1:
            return by_stem.get(_id_of(clip))
        return video

    return find


def _id_of(clip: str) -> str:
    """Return the YouTube id, which may have underscores, of "<youtube_id>_<start>_<end>"."""
    return clip.rsplit("_", 2)[0]


def _fill_labels(rows: dict[tuple[str, str], list[str]]) -> dict[tuple[str, str], list[str]]:
    """Fold the rows without a label into those that have one for the same clip.

    The test lists were published first without labels, then with them.
    """
    unlabelled = {clip: splits for (clip, label), splits in rows.items() if not label}
    labelled = {clip for clip, label in rows if label and clip in unlabelled}
    return {
        (clip, label): splits + unlabelled[clip] if label and clip in labelled else splits
        for (clip, label), splits in rows.items()
        if label or clip not in labelled
    }


def _open_list(path: Path) -> Iterator[_Row] | None:
    """Return the rows of a list; None where the file is something else."""
    if path.suffix.lower() != ".csv":
        return None
    header = read_header(path)
    named = _split_of(path.stem)
    if not {"youtube_id", "time_start", "time_end"} <= set(header):
        return None
    if "split" not in header and named is None:
        return None
    return _read_list(path, named)


def _read_list(path: Path, named: str | None) -> Iterator[_Row]:
    """Yield each row; ``named`` is the split that the file's name tells."""
    rows = read_rows(path)
    _, header = next(rows)
    column = {name: index for index, name in enumerate(header)}
    for number, row in rows:
        if len(row) < len(header):
            raise malformed(path, number, f"{len(row)} fields where the header has {len(header)}")
        start, end = row[column["time_start"]], row[column["time_end"]]
        if not row[column["youtube_id"]] or not start.isdecimal() or not end.isdecimal():
            raise malformed(path, number, "youtube_id, time_start or time_end is no id or number")
        split = named
        if "split" in column and row[column["split"]]:
            split = _split_of(row[column["split"]])
        if split is None:
            raise malformed(path, number, "the split is not one of train, val or validate, test")
        clip = f"{row[column['youtube_id']]}_{int(start):06d}_{int(end):06d}"
        yield clip, row[column["label"]] if "label" in column else "", split


@functools.cache
def _split_of(text: str) -> str | None:
    """Return the first split that a text such as "kinetics-400_train" names."""
    words = re.findall("[a-z]+", text.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)
