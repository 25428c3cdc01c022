"""``fastrot evaluate``: rotation or action accuracy of a checkpoint, always with its protocol."""

import argparse
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser, with one sub-command per measure."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a checkpoint's rotation or action accuracy",
        description="Measure a checkpoint's accuracy on a split of a store.",
    )
    measures = parser.add_subparsers(dest="measure", required=True, metavar="MEASURE")
    for name, clips, about in (
        ("rotation", 1, "accuracy over all rotations of deterministic centre clips"),
        ("action", 10, "top-1 and top-5, per clip and per video"),
    ):
        measure = measures.add_parser(
            name,
            help=about,
            description=f"Measure {about}.",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        measure.add_argument(
            "checkpoint", type=Path, metavar="CHECKPOINT", help="such as last.pt of a run"
        )
        measure.add_argument("--store", required=True, help="a store made by fastrot prepare")
        measure.add_argument(
            "--split", required=True, help="a split of the store, or all for every video"
        )
        measure.add_argument(
            "--clips",
            type=_positive,
            default=clips,
            metavar="K",
            help="uniform clips of each video",
        )
        measure.add_argument(
            "--batch", type=_positive, default=16, help="clips at a time and process"
        )
        measure.add_argument(
            "--precision",
            choices=("auto", "fp32", "bf16", "fp16"),
            default="auto",
            help="auto: bf16 on a GPU that has it, fp32 on a CPU",
        )
        measure.add_argument(
            "--out",
            type=Path,
            default=None,
            metavar="DIR",
            help="where results.json goes; None: evaluation/MEASURE-STORE-SPLIT in the run's folder",
        )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the result with its protocol, and write results.json."""
    from fastrot.console import say
    from fastrot.evaluation.action import evaluate_action
    from fastrot.evaluation.results import write_results
    from fastrot.evaluation.rotation import evaluate_rotation
    from fastrot.evaluation.trained import load_trained
    from fastrot.runtime import Runtime
    from pipelines.store import Store

    store = Store.open(args.store)
    evaluate = evaluate_rotation if args.measure == "rotation" else evaluate_action
    with Runtime.start(args.precision) as runtime:
        result = evaluate(
            load_trained(args.checkpoint, runtime),
            store,
            args.split,
            runtime,
            clips_per_video=args.clips,
            batch=args.batch,
        )
        if runtime.is_main:
            for line in result.lines():
                say(line)
            out = args.out or _default_out(args.checkpoint, args.measure, store.path, args.split)
            say(f"written to {write_results(out, args.measure, args.checkpoint, result, runtime)}")
    return 0


def _default_out(checkpoint: Path, measure: str, store: Path, split: str) -> Path:
    """Return a folder in the run that the checkpoint is of, or beside a checkpoint that stands alone."""
    in_run = checkpoint.resolve().parent.name == "checkpoints"
    run = checkpoint.resolve().parents[1] if in_run else checkpoint.resolve().parent
    return run / "evaluation" / f"{measure}-{store.resolve().name}-{split}-{checkpoint.stem}"


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value
