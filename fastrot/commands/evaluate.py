"""``fastrot evaluate``: measure a network; every result includes its protocol."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastrot.commands.arguments import (
    add_action,
    add_clips,
    add_json,
    add_network,
    add_split,
    positive,
    started,
)

if TYPE_CHECKING:
    from fastrot.distributed.runtime import Runtime
    from fastrot.evaluation.clip_set import ClipSet
    from fastrot.evaluation.fusion import FusionResult
    from fastrot.evaluation.protocol import Result
    from fastrot.evaluation.scramble import Scramble
    from fastrot.evaluation.trained import Trained

Run = Callable[[argparse.Namespace], int]


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser, with one subcommand per measure."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure accuracy, linear probes and retrieval, or fuse the scores of two networks",
        description="Measure what a network has learned, or fuse the scores of two networks.",
    )
    measures = parser.add_subparsers(dest="measure", required=True, metavar="MEASURE")

    for name, about, run, clips in (
        ("rotation", "accuracy over all rotations of deterministic centre clips", _pretext, 1),
        ("pretext", "accuracy on the network's pretext task, built-in or custom", _pretext, 1),
        ("action", "top-1 and top-5, per clip and per video", _action, 10),
    ):
        measure = _of_checkpoint(measures, name, about, run, clips)
        add_split(measure, "--split", "a split of the store, or all for every video")
        if name == "rotation":
            _add_scramble(measure)

    about = "top-1 of linear probes on each block's frozen features"
    probe = _of_checkpoint(measures, "probe", about, _probe, 10)
    about = "how often nearest neighbours in feature space have the same class"
    retrieval = _of_checkpoint(measures, "retrieval", about, _retrieval, 10)
    for measure, train, test in (
        (probe, "fits the probes", "tests them"),
        (retrieval, "is searched", "queries it"),
    ):
        add_split(measure, "--train-split", f"the split that {train}", dest="train_split")
        add_split(measure, "--test-split", f"the split that {test}")
    probe.add_argument(
        "--shots", type=positive, metavar="N", help="training videos of each class (default: all)"
    )
    retrieval.add_argument(
        "--block", default="layer4", help="block to take features from: conv1, layer1, ... layer4"
    )
    retrieval.add_argument(
        "--k",
        type=positive,
        nargs="+",
        default=[1, 5, 10, 20, 50],
        metavar="K",
        help="number of neighbours; a hit is at least one of the same class",
    )

    about = "geometric mean of two networks' scores, such as RGB and DIF"
    fuse = add_action(measures, "fuse", about, _fuse)
    for name, which in (("first", "A"), ("second", "B")):
        fuse.add_argument(
            name, type=Path, metavar=which, help="scores.npz, or the folder of an evaluation or run"
        )
    _add_out(fuse, "runs/fusion/A+B")


def _of_checkpoint(
    measures: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    about: str,
    run: Run,
    clips: int,
) -> argparse.ArgumentParser:
    parser = add_action(measures, name, about, run)
    add_network(parser)
    add_clips(parser, clips)
    _add_out(parser, "evaluation/MEASURE-STORE-SPLIT-CHECKPOINT in the run's folder")
    return parser


def _add_out(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"folder for results.json and other files (default: {default})",
    )
    add_json(parser)


def _add_scramble(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scramble",
        type=_scramble,
        metavar="HOW",
        help="scramble the clips before rotation: phase keeps their amplitude spectra with random phases; "
        "lowpass blurs them by 2 pixels, lowpass:SIGMA by SIGMA (default: do not scramble)",
    )


def _scramble(text: str) -> "Scramble":
    from fastrot.evaluation.scramble import Scramble
    from pipelines.errors import UsageError

    try:
        return Scramble.parse(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _pretext(args: argparse.Namespace) -> int:
    import numpy as np

    from fastrot.evaluation.confusion import write_confusion
    from fastrot.evaluation.pretext import evaluate_pretext
    from fastrot.evaluation.rotation_accuracy import RotationResult
    from pipelines.errors import UsageError

    with _started(args) as (trained, clips, runtime):
        measure = trained.task.measure
        if args.measure == "rotation" != measure:
            raise UsageError(
                f"{args.checkpoint} was trained for task={trained.config.task}: "
                f"use `fastrot evaluate {measure}`"
            )
        scramble = vars(args).get("scramble")
        result = evaluate_pretext(trained, replace(clips, scramble=scramble), runtime)

        def files(out: Path) -> list[str]:
            if not isinstance(result, RotationResult):
                return []  # only rotations have a confusion matrix
            degrees = [str(turn) for turn in result.degrees]
            return write_confusion(out, degrees, np.array(result.confusion))

        # A folder of its own, with a name that every file system accepts.
        splits = f"{args.split}-{scramble}".replace(":", "-") if scramble else args.split
        _report_checkpoint(args, splits, result, runtime, files)
    return 0


def _action(args: argparse.Namespace) -> int:
    from fastrot.evaluation.action import score_action
    from fastrot.evaluation.confusion import write_confusion, write_per_class
    from fastrot.evaluation.scores import FILE

    with _started(args) as (trained, clips, runtime):
        result, scores = score_action(trained, clips, runtime)

        def files(out: Path) -> list[str]:
            scores.save(out / FILE)
            counts = scores.confusion()
            write_per_class(out, scores.classes, counts)
            return [FILE, "per_class.csv", *write_confusion(out, scores.classes, counts)]

        _report_checkpoint(args, args.split, result, runtime, files)
    return 0


def _probe(args: argparse.Namespace) -> int:
    from fastrot.evaluation.probe import probe_blocks

    with _started(args) as (trained, clips, runtime):
        result = probe_blocks(trained, clips, args.train_split, runtime, shots=args.shots or 0)
        splits = f"{args.train_split}-{args.split}"
        if args.shots:
            splits += f"-{args.shots}-shots"
        settings = {"train_split": args.train_split, "shots": args.shots}
        _report_checkpoint(args, splits, result, runtime, **settings)
    return 0


def _retrieval(args: argparse.Namespace) -> int:
    from fastrot.evaluation.retrieval import retrieve

    with _started(args) as (trained, clips, runtime):
        result = retrieve(trained, clips, args.train_split, runtime, block=args.block, ks=args.k)
        splits = f"{args.train_split}-{args.split}-{args.block}"
        _report_checkpoint(args, splits, result, runtime, train_split=args.train_split)
    return 0


def _fuse(args: argparse.Namespace) -> int:
    from fastrot.distributed.runtime import Runtime
    from fastrot.evaluation.fusion import fuse, label_of
    from fastrot.evaluation.scores import FILE, find_scores

    first, second = find_scores(args.first), find_scores(args.second)
    result, scores = fuse(first, second)
    out = args.out or Path("runs") / "fusion" / f"{label_of(first)}+{label_of(second)}"

    def files(out: Path) -> list[str]:
        scores.save(out / FILE)
        return [FILE]

    with Runtime.start() as runtime:
        _report(args, out, {}, result, runtime, files)
    return 0


@contextmanager
def _started(args: argparse.Namespace) -> "Iterator[tuple[Trained, ClipSet, Runtime]]":
    """Open the store, start the process and load the network."""
    from fastrot.evaluation.trained import load_trained

    with started(args) as (clips, runtime):
        yield load_trained(args.checkpoint, runtime), clips, runtime


def _no_files(out: Path) -> list[str]:
    return []


def _report_checkpoint(
    args: argparse.Namespace,
    splits: str,
    result: "Result",
    runtime: "Runtime",
    files: Callable[[Path], list[str]] = _no_files,
    **settings: Any,
) -> None:
    """Report an evaluation of a checkpoint, by default in its run's folder or next to the checkpoint."""
    of = {"checkpoint": str(args.checkpoint), **settings}
    out = args.out or _default_out(args.checkpoint, args.measure, args.store, splits)
    _report(args, out, of, result, runtime, files)


def _report(
    args: argparse.Namespace,
    out: Path,
    of: dict[str, Any],
    result: "Result | FusionResult",
    runtime: "Runtime",
    files: Callable[[Path], list[str]],
) -> None:
    """Print the result and write its files in the first process; errors are raised in all processes."""
    from fastrot.evaluation.result_file import write_results
    from fastrot.runs.plots import NO_MATPLOTLIB
    from fastrot.terminal.console import say

    def report() -> None:
        for line in result.lines():
            say(line)
        args.emit(write_results(out, args.measure, of, result, runtime))
        written = ["results.json", *files(out)]
        say(f"written to {out}: {', '.join(written)}")
        if "confusion.csv" in written and "confusion.png" not in written:
            say(f"no confusion.png: {NO_MATPLOTLIB}")

    runtime.on_main(report)


def _default_out(checkpoint: Path, measure: str, store: Path, splits: str) -> Path:
    """Return a folder in the checkpoint's run, or next to a checkpoint that is not in a run."""
    in_run = checkpoint.resolve().parent.name == "checkpoints"
    run = checkpoint.resolve().parents[1] if in_run else checkpoint.resolve().parent
    return run / "evaluation" / f"{measure}-{store.resolve().name}-{splits}-{checkpoint.stem}"
