"""``fastrot features``: write the feature vectors of a store's videos to one file."""

import argparse
from pathlib import Path

from fastrot.commands.arguments import (
    add_clips,
    add_json,
    add_network,
    add_trained_on,
    started,
    trained_on,
)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "features",
        help="write the feature vectors of a store's videos",
        description="Write a NumPy file with the arrays features (videos, channels) float32, names, labels "
        "(-1: none), classes, protocol and skipped (unreadable videos, which have no row). Features are "
        "averaged over space, time and the clips of a video.",
    )
    add_network(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="output file, such as features.npz"
    )
    parser.add_argument("--split", default="all", help="a split of the store")
    parser.add_argument(
        "--block", default="layer4", help="block to take features from: conv1, layer1, ... layer4"
    )
    add_clips(parser)
    add_trained_on(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compute the features, and write them in the first process."""
    from dataclasses import asdict

    from fastrot.evaluation.extract import extract
    from fastrot.evaluation.unreadable import skipped_lines
    from fastrot.terminal.console import say
    from pipelines.errors import UsageError

    if args.out.suffix != ".npz":
        raise UsageError(f"--out is {args.out}: the name must end in .npz")
    described = trained_on(args)
    with started(args) as (clips, runtime):
        found = extract(args.checkpoint, clips, runtime, block=args.block, trained_on=described)

        def write() -> None:
            found.save(args.out)
            count, channels = found.features.shape
            skipped = [asdict(each) for each in found.skipped]
            args.emit(
                {
                    "file": args.out,
                    "videos": count,
                    "channels": channels,
                    "protocol": found.protocol,
                    "skipped": skipped,
                }
            )
            say(f"{args.out}: {count} videos x {channels} channels ({found.protocol})")
            for line in skipped_lines(found.skipped):
                say(line)

        runtime.on_main(write)
    return 0
