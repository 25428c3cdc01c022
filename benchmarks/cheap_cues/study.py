"""Does a network that was pre-trained on a cheap cue transfer worse? A cross, its bounds, and other cases.

Run: OMP_WAIT_POLICY=PASSIVE python -m benchmarks.cheap_cues.study --out OUT
     python -m benchmarks.cheap_cues.study --out OUT --page docs/cheap_cues.md

Networks are pre-trained on clean videos and on videos with cheap cues, and each is fine-tuned on clean
videos and on videos with cheap cues, next to training from scratch and on all labels. The result of each
training goes into OUT/cheap_cues.json as soon as it is measured, and the same command resumes. Prints the
tables. With --page, nothing is trained: the tables go into the page, and the figure and the results into
the files next to it.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.cheap_cues.saved_results import load
from benchmarks.cheap_cues.study_page import tables, write_page
from benchmarks.cheap_cues.study_plan import Training, plan
from benchmarks.cheap_cues.study_runs import SIZES, Settings, Study, surroundings
from fastrot.commands.arguments import Parser
from fastrot.synthetic.dataset import VERSION
from fastrot.terminal.console import say
from pipelines.errors import FastrotError, UsageError
from pipelines.files import write_file

RESULTS = "cheap_cues.json"
KEYS = frozenset({"settings", "environments", "trainings"})
"""Of the file of results."""


def measure(out: Path, settings: Settings, trainings: Iterable[Training]) -> dict[str, Any]:
    """Run the trainings that are not in OUT/cheap_cues.json yet, and return all of its contents.

    Raises:
        UsageError: The file contains results of other settings or another generator.
        FastrotError: A training cannot run, or something cannot be written.
    """
    path = out / RESULTS
    wanted = {"demo_version": VERSION, **json.loads(json.dumps(asdict(settings)))}
    empty: dict[str, Any] = {"settings": wanted, "environments": [], "trainings": {}}
    results = load(path, KEYS) if path.exists() else empty
    if results["settings"] != wanted:
        raise UsageError(
            f"{path} contains results for other settings ({results['settings']} instead of {wanted}); "
            "choose another --out"
        )
    study = Study(out, settings)
    for training in trainings:
        if training.key in results["trainings"]:
            say(f"{training.key}: already done")
            continue
        found = study.run(training)
        here = surroundings()
        if here not in results["environments"]:
            results["environments"].append(here)
        found["environment"] = results["environments"].index(here)
        results["trainings"][training.key] = found
        write_file(path, json.dumps(results, indent=1) + "\n")
    return results


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="python -m benchmarks.cheap_cues.study",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument("--out", type=Path, required=True, help="output folder")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each kind")
    for name, (default, about) in SIZES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default, help=about)
    for stage in ("pretrain", "finetune"):
        parser.add_argument(
            f"--{stage}",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help=f"change the {stage} config (may be repeated)",
        )
    parser.add_argument("--page", type=Path, metavar="FILE", help="only write the page")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is missing, or write the page, and print the tables."""
    args = _arguments(argv)
    if args.seeds < 1:
        raise UsageError(f"--seeds is {args.seeds}: it must be at least 1")
    if args.page is not None:
        results = load(args.out / RESULTS, KEYS)
        write_page(results, args.page)
    else:
        settings = Settings(
            **{name: getattr(args, name) for name in ("seeds", *SIZES)},
            pretrain=tuple(args.pretrain),
            finetune=tuple(args.finetune),
        )
        results = measure(args.out, settings, plan(args.seeds))
    print(tables(results))


if __name__ == "__main__":
    try:
        main()
    except FastrotError as error:
        sys.exit(f"cheap_cues: error: {error}")
