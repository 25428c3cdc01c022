"""Time and memory of listing a data set, as every part of ``fastrot prepare --shard I/N`` does.

Run: python -m benchmarks.tools.listing_memory SOURCE --layout kinetics --make 480000

``--make N`` first fills SOURCE, a new folder, with N empty files named as in Kinetics, in 600 classes, and
their list. Prints JSON: the peak of the process's memory before listing and at its end, and the seconds.
"""

import json
import resource
import time
from pathlib import Path

from fastrot.commands.arguments import Parser, positive
from pipelines.layouts import LAYOUTS, read_layout

CLASSES = 600
SECONDS = 10


def make_tree(source: Path, count: int) -> None:
    """Write ``count`` empty files, "class/<youtube_id>_<start>_<end>.mp4", and ``train.csv``.

    Args:
        source: A folder that does not exist yet.
        count: Number of files.
    """
    source.mkdir(parents=True)
    lines = ["label,youtube_id,time_start,time_end,split"]
    for number in range(count):
        folder = source / f"class of action {number % CLASSES:03d}"
        folder.mkdir(exist_ok=True)
        clip = f"{number:011d}"  # as long as YouTube's ids
        (folder / f"{clip}_{0:06d}_{SECONDS:06d}.mp4").touch()
        lines.append(f"{folder.name},{clip},0,{SECONDS},train")
    (source / "train.csv").write_text("\n".join(lines) + "\n")


def main() -> None:
    """List the data set and print what it took."""
    parser = Parser(
        prog="python -m benchmarks.tools.listing_memory", description="Measure listing."
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder of the data set")
    parser.add_argument("--layout", choices=sorted(LAYOUTS), default="folder", help="its layout")
    parser.add_argument("--make", type=positive, metavar="N", help="make the folder with N videos")
    args = parser.parse_args()
    if args.make:
        make_tree(args.source, args.make)
    before = _peak_mb()
    began = time.perf_counter()
    videos = len(read_layout(args.source, args.layout).entries)
    seconds = time.perf_counter() - began
    found = {"layout": args.layout, "videos": videos, "seconds": round(seconds, 1)}
    print(json.dumps({**found, "mb_before": before, "mb_peak": _peak_mb()}))


def _peak_mb() -> int:
    """Return the most memory that the process has had so far, in MB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)  # Linux: in KiB


if __name__ == "__main__":
    main()
