"""``fastrot prepare``: a folder of videos in, a store out."""

import argparse
from pathlib import Path

from pipelines.codecs import CODECS, check_quality, check_size
from pipelines.layouts import LAYOUTS, read_layout
from pipelines.machine import cores
from pipelines.store import Settings
from pipelines.store_writer import write_atomically

SHOWN = 20


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "prepare",
        help="transcode a data set's videos into a store",
        description="Transcode a data set's videos into a store. Run it again to go on after an "
        "interruption, or to add new videos; what was set aside before is not tried again.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("source", type=Path, help="the data set's folder, or one video")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="STORE", help="the store's folder"
    )
    parser.add_argument(
        "--layout", choices=sorted(LAYOUTS), default="folder", help="how SOURCE lies"
    )
    parser.add_argument(
        "--codec",
        choices=list(CODECS),
        default="mjpeg",
        help="raw: fastest, about 12 times the bytes of mjpeg; h264 (GPU only) and vp9: a fifth of them",
    )
    parser.add_argument(
        "--frames",
        type=_frames,
        default="all",
        metavar="N|all",
        help="frames to keep of each video, evenly spaced (the paper: 160 of Kinetics, 90 of Moments)",
    )
    parser.add_argument(
        "--size", type=_positive, default=136, help="side of the square frames in pixels"
    )
    parser.add_argument(
        "--fit",
        choices=("stretch", "crop"),
        default="stretch",
        help="stretch frames to a square as the paper does, or keep the aspect and cut the centre square",
    )
    parser.add_argument(
        "--quality",
        type=int,
        help="on FFmpeg's scale, lower is better: mjpeg 1..31 (2), h264 0..51 (18), vp9 0..63 (20)",
    )
    parser.add_argument("--workers", type=_positive, default=cores(), help="decoding processes")
    parser.add_argument(
        "--time-limit",
        type=_seconds,
        default=600.0,
        metavar="SECONDS",
        help="set a video aside that takes longer",
    )
    parser.add_argument(
        "--shard",
        type=_part,
        metavar="I/N",
        help="prepare every N-th video from the I-th (from 1) on: one node's part of a store that N nodes "
        "write at the same time",
    )
    parser.add_argument(
        "--retry-rejected", action="store_true", help="try again what was set aside before"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prepare the store and print what became of every video."""
    from fastrot.console import progress, say
    from pipelines.prepare import prepare

    check_size(args.codec, args.size)
    quality = check_quality(args.codec, args.quality)
    listing = read_layout(args.source, args.layout)
    settings = Settings(
        codec=args.codec,
        size=args.size,
        frames=args.frames,
        layout=args.layout,
        classes=tuple(listing.classes),
        quality=quality,
        fit=args.fit,
    )
    try:
        with progress(len(listing.entries), "prepare", "videos") as advance:
            result = prepare(
                listing,
                args.out,
                settings,
                workers=args.workers,
                time_limit=args.time_limit,
                retry_rejected=args.retry_rejected,
                part=args.shard,
                progress=advance.to,
                note=say,
            )
    except KeyboardInterrupt:
        say(f"What is in {args.out} is safe: run the same command to go on.")
        raise
    for name, reason in result.rejected[:SHOWN]:
        say(f"set aside: {name}: {reason}")
    if len(result.rejected) > SHOWN:
        say(f"set aside: {len(result.rejected) - SHOWN} more, see {args.out}/rejected*.jsonl")
    for name, frames in result.damaged[:SHOWN]:
        say(f"damaged: {name}: kept, though its decoder reported errors in {frames} frames")
    if len(result.damaged) > SHOWN:
        say(f"damaged: {len(result.damaged) - SHOWN} more")
    if result.missing:
        shown = ", ".join(result.missing[:3]) + (", ..." if len(result.missing) > 3 else "")
        missing = args.out / "missing.txt"
        write_atomically(missing, "".join(f"{name}\n" for name in result.missing))
        say(f"not on disk: {len(result.missing)} of the listed videos ({shown}), see {missing}")
    say(
        f"{result.found} videos found = {result.already} done before + {result.added} added "
        f"+ {len(result.rejected)} set aside; {result.in_store} videos in {args.out}"
        + (f"; {len(result.damaged)} of the added have damaged frames" if result.damaged else "")
    )
    return 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{value} is not above 0")
    return value


def _frames(text: str) -> int | None:
    return None if text == "all" else _positive(text)


def _part(text: str) -> tuple[int, int]:
    index, _, parts = text.partition("/")
    if not (index.isdigit() and parts.isdigit() and 1 <= int(index) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text} is not I/N with I from 1 to N, such as 3/8")
    return int(index), int(parts)
