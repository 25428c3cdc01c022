"""UCF101 (Soomro et al., 2012): Class/v_Class_g01_c01.avi and the official train/test lists.

The lists (``classInd.txt``, ``trainlist0k.txt``, ``testlist0k.txt``) are distributed apart from the
videos, so both are looked for anywhere below the source.
"""

from pathlib import Path

from pipelines.errors import FastrotError
from pipelines.layouts.entry import Listed, Listing, index_videos, match, walk
from pipelines.layouts.lists import read_lines


def read(source: Path) -> Listing:
    """List the videos named in the official lists; splits are train1..3 and test1..3.

    Raises:
        FastrotError: ``classInd.txt`` or the lists are absent or malformed.
    """
    tree = walk(source)
    found = [path for path in tree.lists if path.name == "classInd.txt"]
    if not found:
        raise FastrotError(
            f"{source} has no classInd.txt: put UCF101's train/test lists below it "
            "(UCF101TrainTestSplits-RecognitionTask.zip)"
        )
    lists = found[0].parent
    classes = _read_classes(found[0])
    listed: dict[str, Listed] = {}
    for kind in ("train", "test"):
        for path in sorted(lists.glob(f"{kind}list0?.txt")):
            for name in _read_list(path, classes):
                video = listed.setdefault(name, Listed(name.split("/")[0]))
                video.splits.append(f"{kind}{int(path.stem[-1])}")
    if not listed:
        raise FastrotError(f"{lists} has no trainlist0k.txt or testlist0k.txt")
    return match(listed, index_videos(tree.videos, lambda video: video.tail), classes)


def _read_classes(path: Path) -> list[str]:
    """Read lines such as "1 ApplyEyeMakeup"; labels are the numbers less one."""
    rows = [line.split() for _, line in read_lines(path)]
    if not rows or any(len(row) != 2 for row in rows):
        raise FastrotError(f"{path}: each line must be a number and a class, such as '1 Archery'")
    if [row[0] for row in rows] != [str(i) for i in range(1, len(rows) + 1)]:
        raise FastrotError(f"{path}: the classes must be numbered from 1 upwards")
    return [name for _, name in rows]


def _read_list(path: Path, classes: list[str]) -> list[str]:
    """Read lines such as "Archery/v_Archery_g08_c01.avi 3" (test lists have no number)."""
    names = [line.split()[0] for _, line in read_lines(path)]
    known = set(classes)
    for name in names:
        if name.count("/") != 1 or name.split("/")[0] not in known:
            raise FastrotError(f"{path}: {name!r} is not Class/video with a class of classInd.txt")
    return names
