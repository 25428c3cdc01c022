"""``fastrot prepare``: transcode a folder of videos into a store."""

import argparse
from dataclasses import asdict
from pathlib import Path

from fastrot.commands.arguments import add_json, add_layout, positive, seconds, share
from pipelines.cores import cores
from pipelines.files import write_file
from pipelines.layouts import read_layout
from pipelines.store.codecs import CODECS, check_size, grid_warnings
from pipelines.store.reading import FITS, Settings


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "prepare",
        help="transcode a data set's videos into a store",
        description="Transcode a data set's videos into a store. Run it again to resume after an "
        "interruption, to add new videos, or to apply corrected lists: classes and splits of stored videos "
        "are updated without decoding. A video whose file content has changed is transcoded again, and a "
        "rejected video is retried when its file has changed. If SOURCE is a different folder from the one "
        "the stored videos came from, equal names with different content are an error: see --prefix and "
        "--replace. A copied or moved data set is not transcoded again.",
    )
    parser.add_argument("source", type=Path, help="the data set's folder, or one video")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="STORE", help="the store's folder"
    )
    add_layout(parser)
    parser.add_argument(
        "--codec",
        choices=list(CODECS),
        default="mjpeg",
        help="raw: fastest, 5 to 9 times the size of mjpeg; h264 and vp9: a sixth of the size of mjpeg",
    )
    parser.add_argument(
        "--frames",
        type=_frames,
        default="all",
        metavar="N|all",
        help="evenly spaced frames to keep per video (the paper: 160 for Kinetics, 90 for Moments)",
    )
    parser.add_argument(
        "--size", type=positive, default=136, help="side of the square frames in pixels"
    )
    parser.add_argument(
        "--fit",
        choices=FITS,
        default="stretch",
        help="stretch: stretch frames to a square as in the paper; crop: keep the aspect ratio and "
        "crop the centre square",
    )
    parser.add_argument(
        "--quality",
        type=int,
        help="on FFmpeg's scale, lower is better: mjpeg 1..31, h264 0..51, vp9 0..63 "
        "(default: mjpeg 2, h264 20, vp9 22; that of a store that is resumed)",
    )
    parser.add_argument(
        "--workers", type=positive, default=cores(), help="processes (default: one per usable core)"
    )
    parser.add_argument(
        "--time-limit",
        type=seconds,
        default=600,
        metavar="SECONDS",
        help="reject a video that takes longer",
    )
    parser.add_argument(
        "--shard",
        type=share,
        metavar="I/N",
        help="prepare every N-th video, starting with the I-th (from 1): one node's part of a store that N "
        "nodes write at the same time",
    )
    parser.add_argument("--retry-rejected", action="store_true", help="retry rejected videos")
    parser.add_argument(
        "--prefix",
        type=_prefix,
        metavar="NAME",
        help="name the videos NAME/...: for a second data set with names that are already in the store",
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="replace stored videos from another folder with the versions of the same name in SOURCE",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prepare the store and print a summary."""
    from fastrot.data.summary import summarise
    from fastrot.terminal.console import progress, say
    from pipelines.prepare.preparation import choose_quality, prepare

    check_size(args.codec, args.size)
    quality = choose_quality(args.out, args.codec, args.quality)
    listing = read_layout(args.source, args.layout, args.lists)
    if args.prefix is not None:
        listing = listing.prefixed(args.prefix)
    # Print them before hours of decoding.
    for warning in (*grid_warnings(args.codec, args.size), *listing.warnings):
        say(f"warning: {warning}")
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
                replace_clashing=args.replace,
                part=args.shard,
                progress=advance.to,
                note=say,
            )
    except KeyboardInterrupt:
        say(f"Completed videos are saved in {args.out}: run the same command to resume.")
        raise
    missing = args.out / "missing.txt"
    if listing.missing:
        write_file(missing, "".join(f"{name}\n" for name in listing.missing))
    else:
        missing.unlink(missing_ok=True)  # from an earlier run
    args.emit(asdict(result))
    for line in summarise(listing, result, args.out):
        say(line)
    return 0


def _frames(text: str) -> int | None:
    return None if text == "all" else positive(text)


def _prefix(text: str) -> str:
    name = text.strip("/")
    if not name or {"", ".", ".."} & set(name.split("/")):
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid prefix: use a name such as mine")
    return name
