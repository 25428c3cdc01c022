"""When does the pretext teach, and when does it cheat? Four demo sets, each seen in three ways.

Run: OMP_WAIT_POLICY=PASSIVE python -m benchmarks.cheap_cues.study --out OUT [--combination static-plain]
     python -m benchmarks.cheap_cues.study --out OUT --draw FIGURE.png

For a static and a moving camera, before a plain scene and before a horizon, and for DIF, RGB, and DIF
without the camera's motion: rotation accuracy on unseen scenes, a linear probe of each
block next to a random network's, and the gain of fine-tuning over training from scratch. Each result is
written to OUT/cheap_cues.json at once, and a finished case is not run again. Prints all results as a
Markdown table.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from benchmarks.cheap_cues.study_page import CASES, COMBINATIONS, Case, Input, draw, table
from fastrot.commands.arguments import Parser
from fastrot.demo.demo import DemoReport, run_demo
from fastrot.demo.videos import builtin_data
from fastrot.distributed.runtime import Runtime
from fastrot.runs.environment import environment
from fastrot.synthetic.dataset import VERSION, DemoSpec
from fastrot.terminal.console import say
from pipelines.errors import FastrotError, UsageError
from pipelines.files import write_file

SIZES = {
    "unlabelled": (1400, "unlabelled videos to pre-train on"),
    "groups": (21, "groups of labelled videos per class"),
    "clips_per_group": (3, "videos in a group"),
    "frames": (32, "frames of each video"),
    "size": (80, "side of the frames in pixels"),
}
"""Settings of the generated set: the default and the meaning of each."""


@dataclass(frozen=True)
class Settings:
    """What all cases have in common.

    ``pretrain`` and ``finetune`` are changes to the demo's configs, ``key=value`` each; the
    pre-training lasts ``epochs``, and ``seeds`` fine-tunings of each kind follow.
    """

    unlabelled: int
    groups: int
    clips_per_group: int
    frames: int
    size: int
    epochs: float
    seeds: int
    pretrain: tuple[str, ...] = ()
    finetune: tuple[str, ...] = ()

    def spec(self, case: Case) -> DemoSpec:
        """The case's demo set."""
        sizes = {name: getattr(self, name) for name in SIZES}
        return DemoSpec(camera=case.camera, horizon=case.horizon, **sizes)

    def overrides(self, case: Case) -> dict[str, list[str]]:
        """The changes to the demo's configs, by stage, for ``fastrot.demo.demo.run_demo``."""
        return {
            "pretrain": [*case.changes, f"train.epochs={self.epochs:g}", *self.pretrain],
            "finetune": [*case.changes, *self.finetune],
        }


def measure(out: Path, settings: Settings, cases: Sequence[Case]) -> dict[str, Any]:
    """Measure the cases that are not in OUT/cheap_cues.json yet; return all that is in it then.

    Raises:
        UsageError: The file holds results of other settings or another generator.
        FastrotError: A stage cannot run, or something cannot be written.
    """
    path = out / "cheap_cues.json"
    wanted = {"demo_version": VERSION, **json.loads(json.dumps(asdict(settings)))}
    results = load(path) if path.exists() else {"settings": wanted, "cases": {}}
    if results["settings"] != wanted:
        raise UsageError(
            f"{path} contains results for other settings ({results['settings']} instead of {wanted}); "
            "choose another --out"
        )
    for case in cases:
        if case.key in results["cases"]:
            say(f"{case.key}: already done")
            continue
        say(f"\n=== {case.key} ===")
        # All inputs read the same stores, which the first of them makes.
        data = builtin_data(out / case.combination, settings.spec(case))
        report = run_demo(
            data,
            out / case.combination / case.input,
            seeds=range(settings.seeds),
            overrides=settings.overrides(case),
        )
        results["cases"][case.key] = {**asdict(case), **summary(report), **_where()}
        write_file(path, json.dumps(results, indent=1) + "\n")
    return results


def load(path: Path) -> dict[str, Any]:
    """Read a file that ``measure`` wrote.

    Raises:
        FastrotError: It cannot be read, or is no such file.
    """
    try:
        results = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise FastrotError(
            f"{path} cannot be read: {error}; measure first, or remove the file"
        ) from None
    if not isinstance(results, dict) or not {"settings", "cases"} <= results.keys():
        raise FastrotError(f"{path} was not written by this benchmark: choose another --out")
    return results


def _where() -> dict[str, Any]:
    with Runtime.start() as runtime:
        return {"environment": environment(runtime)}


def summary(report: DemoReport) -> dict[str, Any]:
    """Pick from a demo's report what the table and the figure show: percentages, by seed or block.

    Raises:
        FastrotError: There were too few videos to measure anything.
    """
    if report.shortage:
        raise FastrotError(report.shortage)
    assert report.rotation is not None
    assert report.transfer is not None  # the built-in set has classes
    assert report.probe is not None
    return {
        "rotation": 100 * report.rotation.accuracy,
        "rotation_videos": report.rotation.protocol.videos,
        "blocks": report.probe.blocks,
        "probe": [100 * value for value in report.probe.trained],
        "probe_random": [100 * value for value in report.probe.random],
        "shots": report.transfer.shots,
        "scratch": [100 * result.video_top1 for result in report.transfer.scratch],
        "ours": [100 * result.video_top1 for result in report.transfer.ours],
        "pretrain_seconds": report.pretrain_seconds,
    }


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="python -m benchmarks.cheap_cues.study", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="output folder")
    parser.add_argument(
        "--combination",
        action="append",
        choices=COMBINATIONS,
        help="demo set to measure (may be repeated) (default: all)",
    )
    parser.add_argument(
        "--input",
        action="append",
        choices=get_args(Input),
        help="input of the network (may be repeated) (default: all)",
    )
    parser.add_argument("--epochs", type=float, default=10, help="epochs of pre-training")
    parser.add_argument("--seeds", type=int, default=3, help="fine-tuning runs of each kind")
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
    parser.add_argument("--draw", type=Path, metavar="FILE", help="only draw the results in --out")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is missing, or draw, and print the table."""
    args = _arguments(argv)
    if args.draw is not None:
        results = load(args.out / "cheap_cues.json")
        draw(results, args.draw)
    else:
        if args.seeds < 1:
            raise UsageError(f"--seeds is {args.seeds}: it must be at least 1")
        settings = Settings(
            **{name: getattr(args, name) for name in ("epochs", "seeds", *SIZES)},
            pretrain=tuple(args.pretrain),
            finetune=tuple(args.finetune),
        )
        chosen = [
            case
            for case in CASES
            if case.combination in (args.combination or COMBINATIONS)
            and case.input in (args.input or get_args(Input))
        ]
        results = measure(args.out, settings, chosen)
    print(table(results))


if __name__ == "__main__":
    try:
        main()
    except FastrotError as error:
        sys.exit(f"cheap_cues: error: {error}")
