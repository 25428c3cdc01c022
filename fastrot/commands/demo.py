"""``fastrot demo``: the whole line on the built-in set, or on the user's own videos."""

import argparse
import time
from pathlib import Path

from fastrot.commands.arguments import add_layout, positive


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "demo",
        help="see the whole thing work, on generated videos or on your own",
        description="Prepare videos, pre-train by rotation prediction, measure rotation accuracy on unseen "
        "videos, fine-tune on a few labelled videos from scratch and from the pre-trained weights, and "
        "print both: about 10 minutes on two CPU cores. Run it again to go on after an interruption.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="where everything goes; None: demo, or demo-NAME for your own videos",
    )
    parser.add_argument("--source", type=Path, help="your own videos instead of the built-in set")
    add_layout(parser)
    parser.add_argument(
        "--camera",
        choices=("static", "moving"),
        default="static",
        help="the built-in set's camera: standing still, or held in a hand (docs/cheap_cues.md)",
    )
    parser.add_argument(
        "--horizon",
        action="store_true",
        help="put the built-in set's figures on a ground below a sky",
    )
    parser.add_argument("--seeds", type=positive, default=3, help="fine-tunings of each kind")
    for stage in ("pretrain", "finetune"):
        parser.add_argument(
            f"--{stage}",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help=f"change the {stage} config, such as train.epochs=1 (may be given again)",
        )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make or prepare the data, run the stages and print the tables."""
    from fastrot.demo.demo import run_demo
    from fastrot.demo.videos import builtin_data, own_data
    from fastrot.synthetic.dataset import DemoSpec
    from fastrot.terminal.console import say
    from pipelines.errors import UsageError

    if args.source is not None and (args.camera != "static" or args.horizon):
        raise UsageError("--camera and --horizon are of the built-in set: leave --source out")
    began = time.monotonic()
    out = args.out or Path("demo" if args.source is None else f"demo-{args.source.resolve().stem}")
    try:
        if args.source is None:
            data = builtin_data(out, DemoSpec(camera=args.camera, horizon=args.horizon))
        else:
            data = own_data(args.source, args.layout, out, args.lists)
        run_demo(
            data,
            out,
            seeds=range(args.seeds),
            overrides={"pretrain": args.pretrain, "finetune": args.finetune},
        )
    except KeyboardInterrupt:
        say(f"What is done is in {out}: the same command goes on from there.")
        raise
    minutes = (time.monotonic() - began) / 60
    say(f"\n{minutes:.1f} minutes; results in {out}/results.json, runs in {out}/runs")
    return 0
