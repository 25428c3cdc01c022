"""UCF101 (Soomro et al., 2012; section 4.1): Class/v_Class_g01_c01.avi and the official lists.

The lists (``classInd.txt``, ``trainlist0k.txt``, ``testlist0k.txt``) are distributed separately from
the videos, so both may be anywhere below the source. Converted videos (``v_Class_g01_c01.mp4``) keep the
lists' names in the store.
"""

from pathlib import Path

from pipelines.errors import FastrotError
from pipelines.layouts.choice import only_copy, only_folder
from pipelines.layouts.entry import Listing
from pipelines.layouts.lists import read_lines
from pipelines.layouts.matching import Listed, find_listed, match
from pipelines.layouts.walk import walk

_CLASSES = "classInd.txt"
_AGAIN = "download UCF101's lists again"


def read(source: Path) -> Listing:
    """List the videos named in the official lists; splits are train1..3 and test1..3.

    Raises:
        FastrotError: ``classInd.txt`` or the lists are missing or malformed.
        UsageError: There are several sets of lists, and the choice is ambiguous.
    """
    tree = walk(source)
    found = [path for path in tree.lists if path.name == _CLASSES]
    if not found:
        raise FastrotError(
            f"{source} contains no {_CLASSES}: put UCF101's train/test lists into it "
            "(UCF101TrainTestSplits-RecognitionTask.zip)"
        )
    lists, warnings = _choose(source, found)
    classes = _read_classes(lists / _CLASSES)
    listed: dict[str, Listed] = {}
    for path in _split_lists(lists):
        for name in _read_list(path, classes):
            video = listed.setdefault(name, Listed(name.split("/")[0]))
            video.splits.append(path.stem.replace("list0", ""))
    if not listed:
        raise FastrotError(
            f"{lists} contains neither trainlist0k.txt nor testlist0k.txt: put the lists next to {_CLASSES}"
        )
    listing = match(listed, find_listed(listed, tree, lambda video: video.tail), classes)
    listing.warnings += warnings
    return listing


def _choose(source: Path, found: list[Path]) -> tuple[Path, list[str]]:
    """Return the folder of the recognition lists, as opposed to the detection lists, and warnings."""
    lists = {path.parent: _split_lists(path.parent) for path in found}
    full = {folder: paths for folder, paths in lists.items() if paths}
    if not full:
        return only_copy(source, found).parent, []
    covered = {
        folder: {line.split("/")[0] for path in paths for _, line in read_lines(path)}
        for folder, paths in full.items()
    }
    return only_folder(
        source, covered, {folder: [folder / _CLASSES, *paths] for folder, paths in full.items()}
    )


def _split_lists(folder: Path) -> list[Path]:
    """Return the train lists followed by the test lists."""
    return [
        path for kind in ("train", "test") for path in sorted(folder.glob(f"{kind}list0[0-9].txt"))
    ]


def _read_classes(path: Path) -> list[str]:
    """Read lines such as "1 ApplyEyeMakeup". Labels are these numbers minus one."""
    rows = [line.split() for _, line in read_lines(path)]
    if not rows or any(len(row) != 2 for row in rows):
        raise FastrotError(f"{path}: each line must be a number and a class, such as '1 Archery'")
    if [row[0] for row in rows] != [str(i) for i in range(1, len(rows) + 1)]:
        raise FastrotError(f"{path}: the classes are not numbered 1 to {len(rows)}: {_AGAIN}")
    return [name for _, name in rows]


def _read_list(path: Path, classes: list[str]) -> list[str]:
    """Read lines such as "Archery/v_Archery_g08_c01.avi 3" (test lists have no number)."""
    names = [line.split()[0] for _, line in read_lines(path)]
    known = set(classes)
    for name in names:
        if name.count("/") != 1 or name.split("/")[0] not in known:
            raise FastrotError(
                f"{path}: {name!r} is not of the form Class/video with a class from {_CLASSES}: {_AGAIN}"
            )
    return names
