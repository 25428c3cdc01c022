"""``fastrot demo``: run the whole pipeline on the built-in videos or on the user's own."""

import argparse
import json
import time
from pathlib import Path

from fastrot.commands.arguments import add_json, add_layout, positive
from fastrot.config.recipes import RECIPES, has_speeds


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "demo",
        help="run the whole pipeline on generated videos or on your own",
        description="Prepare videos, pre-train by rotation prediction, measure rotation accuracy on unseen "
        "videos, fine-tune on a few labelled videos from scratch and from the pre-trained weights, and "
        "print both accuracies. Takes about 10 minutes on two CPU cores. Run it again to resume after an "
        "interruption.",
    )
    parser.add_argument("--out", type=Path, help="output folder (default: demo or demo-SOURCE)")
    parser.add_argument("--source", type=Path, help="your own videos (default: the built-in set)")
    add_layout(parser)
    parser.add_argument(
        "--camera",
        choices=("static", "moving"),
        default="static",
        help="camera of the built-in videos: static or hand-held (docs/cheap_cues.md)",
    )
    parser.add_argument(
        "--horizon",
        action="store_true",
        help="place the figures of the built-in videos on a ground below a sky",
    )
    parser.add_argument(
        "--recipe",
        choices=(*RECIPES, "all"),
        default="paper",
        help="paper: as in the paper; ours: augmented clips, playback speed, or both; all: compare their "
        "pre-trainings by probes, without fine-tuning (docs/recipes.md)",
    )
    parser.add_argument("--seeds", type=positive, default=3, help="fine-tuning runs of each kind")
    for stage in ("pretrain", "finetune"):
        parser.add_argument(
            f"--{stage}",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help=f"change the {stage} config, such as train.epochs=1 (may be repeated)",
        )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Generate or prepare the data, run the stages and print the tables."""
    from fastrot.demo.compare_recipes import FILE, compare_recipes
    from fastrot.demo.demo import run_demo
    from fastrot.demo.videos import builtin_data, own_data
    from fastrot.synthetic.dataset import DemoSpec
    from fastrot.terminal.console import say
    from pipelines.errors import UsageError

    if args.source is not None and (args.camera != "static" or args.horizon):
        raise UsageError(
            "--camera and --horizon apply to the built-in videos only: remove them, or remove --source"
        )
    if args.source is None and has_speeds(args.recipe):
        raise UsageError(
            f"--recipe {args.recipe} needs longer videos than the built-in ones: add --source, or compare "
            "recipes on generated videos with `fastrot reproduce pretexts --preset demo`"
        )
    began = time.monotonic()
    out = args.out or Path("demo" if args.source is None else f"demo-{args.source.resolve().stem}")
    try:
        if args.source is None:
            data = builtin_data(out, DemoSpec(camera=args.camera, horizon=args.horizon))
        else:
            data = own_data(args.source, args.layout, out, args.lists)
        if args.recipe == "all":
            compare_recipes(data, out, args.pretrain)
        else:
            run_demo(
                data,
                out,
                seeds=range(args.seeds),
                overrides={"pretrain": args.pretrain, "finetune": args.finetune},
                recipe=args.recipe,
            )
    except KeyboardInterrupt:
        say(f"Completed work is saved in {out}: run the same command to resume.")
        raise
    results = out / (FILE if args.recipe == "all" else "results.json")
    if args.as_json:
        args.emit(json.loads(results.read_text()))
    minutes = (time.monotonic() - began) / 60
    say(f"\n{minutes:.1f} minutes; results in {results}, runs in {out}/runs")
    return 0
