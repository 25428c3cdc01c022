"""HMDB51 (Kuehne et al., 2011; section 4.1): class/name.avi and the three official splits.

The lists (``testTrainMulti_7030_splits/<class>_test_split<K>.txt``) are distributed separately from the
videos, so both may be anywhere below the source. Each class's archive may have been unpacked into its own
folder (``brush_hair/brush_hair/x.avi``), so a video is identified by its class and file name, the last two
parts of its path. If it was converted (``x.mp4``), it keeps the lists' name in the store.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import FastrotError
from pipelines.layouts.choice import only_folder
from pipelines.layouts.entry import Listing
from pipelines.layouts.lists import malformed, read_lines
from pipelines.layouts.matching import Listed, find_listed, match
from pipelines.layouts.walk import walk

_LIST_NAME = re.compile(r"(?P<class>.+)_test_split(?P<number>[123])\.txt")
_KINDS = {"0": None, "1": "train", "2": "test"}


def read(source: Path) -> Listing:
    """List the videos named in the official lists; splits are train1..3 and test1..3.

    Videos that no list uses for training or testing (id 0) have no split. Classes are in alphabetical order.

    Raises:
        FastrotError: The lists are missing, incomplete or malformed.
        UsageError: There are several folders of lists, and the choice is ambiguous.
    """
    tree = walk(source)
    lists, warnings = _find_lists(source, tree.lists)
    classes = sorted({label for label, _ in lists})
    listed: dict[str, Listed] = {}
    for (label, number), path in sorted(lists.items()):
        for name, kind in _read_list(path):
            video = listed.setdefault(f"{label}/{name}", Listed(label))
            if kind is not None:
                video.splits.append(f"{kind}{number}")
    listing = match(listed, find_listed(listed, tree, lambda video: video.tail), classes)
    listing.warnings += warnings
    return listing


def _find_lists(
    source: Path, candidates: list[Path]
) -> tuple[dict[tuple[str, str], Path], list[str]]:
    """Return the lists of one folder by (class, number of the split), and warnings."""
    by_folder: dict[Path, dict[tuple[str, str], Path]] = {}
    for path in candidates:
        if found := _LIST_NAME.fullmatch(path.name):
            by_folder.setdefault(path.parent, {})[found["class"], found["number"]] = path
    if not by_folder:
        raise FastrotError(
            f"{source} contains no lists such as brush_hair_test_split1.txt: put HMDB51's official splits "
            "into it (the folder testTrainMulti_7030_splits of test_train_splits.rar)"
        )
    covered = {folder: {label for label, _ in lists} for folder, lists in by_folder.items()}
    paths = {folder: list(lists.values()) for folder, lists in by_folder.items()}
    folder, warnings = only_folder(source, covered, paths)
    lists = by_folder[folder]
    numbers = {number for _, number in lists}
    for label in sorted(covered[folder]):
        for number in sorted(numbers):
            if (label, number) not in lists:
                raise FastrotError(
                    f"{folder} has no {label}_test_split{number}.txt, though other classes have "
                    f"split {number}: download HMDB51's official splits again"
                )
    return lists, warnings


def _read_list(path: Path) -> Iterator[tuple[str, str | None]]:
    """Yield (file name, "train", "test" or None) for lines such as "x.avi 1"."""
    for number, line in read_lines(path):
        fields = line.rsplit(maxsplit=1)
        if len(fields) != 2 or fields[1] not in _KINDS:
            raise malformed(
                path,
                number,
                f"{line!r} is not a video's name followed by 0, 1 or 2, such as 'x.avi 1'",
            )
        yield fields[0], _KINDS[fields[1]]
