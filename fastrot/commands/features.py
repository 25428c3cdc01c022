"""``fastrot features``: the feature vectors of a store's videos in one file."""

import argparse
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "features",
        help="write the feature vectors of a store's videos",
        description="Write a NumPy file with the arrays features (videos, channels) float32, names, labels "
        "(-1: none), classes, protocol and skipped (videos that cannot be read, and have no row). Features "
        "are averages over space, time and a video's clips.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT", help="a run's checkpoint, or an export"
    )
    parser.add_argument("--store", type=Path, required=True, help="a store of fastrot prepare")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="features.npz")
    parser.add_argument("--split", default="all", help="a split of the store")
    parser.add_argument(
        "--block", default="layer4", help="the activations' block: conv1, layer1, ... layer4"
    )
    parser.add_argument("--clips", type=int, default=10, help="uniform clips of each video")
    parser.add_argument("--batch", type=int, default=16, help="clips at a time and process")
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16", "fp16"),
        default="auto",
        help="auto: bf16 on a GPU that has it; a CPU computes in fp32 only",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compute the features, and write them in the first process."""
    from fastrot.distributed.runtime import Runtime, require_launcher
    from fastrot.evaluation.extract import extract
    from fastrot.evaluation.unreadable import skipped_lines
    from fastrot.terminal.console import say
    from pipelines.errors import UsageError
    from pipelines.store.reading import Store

    for option in ("clips", "batch"):
        if getattr(args, option) < 1:
            raise UsageError(f"--{option} is {getattr(args, option)}: it must be at least 1")
    if args.out.suffix != ".npz":
        raise UsageError(f"--out is {args.out}: name it .npz")
    require_launcher()
    with Runtime.start(args.precision, setting="--precision") as runtime:
        found = extract(
            args.checkpoint,
            Store.open(args.store),
            runtime,
            split=args.split,
            block=args.block,
            clips_per_video=args.clips,
            batch=args.batch,
        )

        def write() -> None:
            found.save(args.out)
            count, channels = found.features.shape
            say(f"{args.out}: {count} videos x {channels} channels ({found.protocol})")
            for line in skipped_lines(found.skipped):
                say(line)

        runtime.on_main(write)
    return 0
