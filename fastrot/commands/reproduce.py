"""``fastrot reproduce``: reproduce a table or figure of the paper with one command."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fastrot.commands.arguments import add_json, options_anywhere, positive, share
from pipelines.errors import UsageError

if TYPE_CHECKING:
    from fastrot.reproduce.execute import Workshop
    from fastrot.reproduce.presets import Changes
    from fastrot.reproduce.run_plan import Item, Plan
    from fastrot.reproduce.settings import Setting

PAPER_TARGETS = (
    *(f"table{number}" for number in range(1, 8)),
    "figure4a",
    "figure4b",
    "figure5",
    "attention",
)
BEYOND = ("budget", "probe", "retrieval", "supervised", "fit", "audit")
TARGETS = (*PAPER_TARGETS, *BEYOND)
STUDIES = ("pretexts",)  # not part of `all`, whose time each would double
MOST_JOBS = 8  # by default; each takes up to 1 GB of memory


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "reproduce",
        help="reproduce the paper's tables and figures",
        description="Run the trainings and measurements of a table or figure of the paper, and print "
        "the results next to the paper's numbers. Finished runs are reused; run the same command again to "
        "resume after an interruption. See docs/reproducing.md.",
        epilog="key=value changes every training run, pretrain:key=value and finetune:key=value change one "
        "kind, and demo.key=value changes the videos that the demo preset generates.",
    )
    parser.add_argument("target", choices=(*TARGETS, *STUDIES, "all"), help="what to reproduce")
    parser.add_argument(
        "changes",
        nargs="*",
        default=[],
        metavar="key=value",
        help="override values of the runs' configs",
    )
    parser.add_argument(
        "--preset",
        choices=("paper", "demo"),
        required=True,
        help="paper: the paper's sizes on your stores; demo: small generated videos, sized for two CPU cores",
    )
    parser.add_argument(
        "--store",
        action="append",
        default=[],
        type=_store,
        metavar="NAME=DIR",
        help="store for the paper preset: kinetics, moments, ucf101, hmdb51 (default: stores/NAME), and for "
        "`fit` kinetics-crop and ucf101-crop (may be repeated)",
    )
    parser.add_argument(
        "--rows",
        action="append",
        default=[],
        metavar="ROW",
        help="run only this row of the table, by its name or a part that no other row has (may be repeated); "
        "the table shows earlier results in the other rows",
    )
    parser.add_argument("--out", type=Path, help="output folder (default: reproduce-PRESET)")
    parser.add_argument(
        "--seeds",
        type=positive,
        help="number of seeds for Tables 2 and 5 and budget (default: 3 with demo, 1 with paper)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the plan and its cost, and exit"
    )
    parser.add_argument(
        "--rate",
        metavar="TFLOPS|FILE",
        help="one GPU's TFLOP/s, or a JSON file of `fastrot bench train` (default: 2 CPU cores with demo)",
    )
    parser.add_argument(
        "--shard",
        type=share,
        metavar="I/N",
        help="execute the I-th (from 1) of N shares of the runs, such as one task of a Slurm array",
    )
    parser.add_argument(
        "--jobs",
        type=positive,
        metavar="N",
        help="train N runs at a time, each on its share of this machine's cores (default: one per core, at "
        f"most {MOST_JOBS}, with demo on a CPU, else 1)",
    )
    parser.add_argument(
        "--nproc",
        type=positive,
        metavar="N",
        help="train each run in N processes on this machine, with torchrun (default: in this process)",
    )
    parser.add_argument(
        "--supervised",
        type=Path,
        metavar="FILE",
        help="supervised network in Hara's format for figure5, attention (default: a newly trained one)",
    )
    add_json(parser)
    parser.set_defaults(run=run)
    options_anywhere(parser, "changes")


def run(args: argparse.Namespace) -> int:
    """Plan and execute the runs, and write the tables and figures."""
    from fastrot.reproduce.chosen_rows import choose_rows
    from fastrot.reproduce.cost import cpu_rate, read_rate
    from fastrot.reproduce.execute import Workshop
    from fastrot.reproduce.listing import (
        NO_RATE,
        amount,
        count,
        hours,
        item_lines,
        overview,
        rows_of,
    )
    from fastrot.reproduce.plan_warnings import small_batches, too_few_videos
    from fastrot.reproduce.run_plan import deal, make_plan
    from fastrot.reproduce.tables import items_of
    from fastrot.terminal.console import say, show

    if args.rows and args.target in (*STUDIES, "all"):
        raise UsageError(f"--rows is for one table: give its name instead of {args.target}")
    args.out = args.out or Path(f"reproduce-{args.preset}")
    setting = _setting(args)
    jobs = _jobs(args, gpu=setting.preset.gpu)
    rate = None
    if args.rate is not None:
        rate = read_rate(args.rate)
    elif args.preset == "demo":
        rate = cpu_rate(jobs)
    keys = TARGETS if args.target == "all" else (args.target,)
    items = tuple(_without_rival(item, args.supervised) for item in items_of(keys, setting.preset))
    chosen = tuple(choose_rows(item, args.rows) for item in items) if args.rows else items
    plan = make_plan(chosen)
    workshop = Workshop(args.out, nproc=args.nproc or 0)
    costs = count(plan, setting)
    for line in (*too_few_videos(plan, setting), *small_batches(plan, args.nproc or 0)):
        say(f"warning: {line}")
    if args.dry_run:
        for line in rows_of(chosen, generated=args.preset == "demo"):
            say(line)
        table = overview(plan, setting, rate, workshop)
        args.emit([dict(zip(table.header, row, strict=True)) for row in table.rows])
        show(table.to_rich())
        for line in item_lines(chosen, setting, rate):
            say(line)
        say(f"{amount(costs.total)} in total" + ("" if costs.complete else " or more"))
        missing = setting.missing(_stores(plan))
        if missing:
            say(f"missing stores: {', '.join(missing)}")
        if rate is None:
            say(NO_RATE)
            return 0
    if rate is not None:
        time = hours(costs, rate, overhead=args.preset == "demo")
        total = f"{60 * time:.0f} minutes" if args.preset == "demo" else f"{time:.1f} GPU-hours"
        say(f"about {total} of compute at {rate.tflops:.3g} TFLOP/s ({rate.source})")
        if args.preset == "demo":
            say("plus a few minutes to generate the videos on the first run")
    if args.dry_run:
        return 0
    share = None
    if args.shard is not None:
        index, parts = args.shard
        share = deal(plan, costs.weights(), parts)[index - 1]
    return _carry_out(args, setting, workshop, plan, items, share, jobs)


def _jobs(args: argparse.Namespace, *, gpu: bool) -> int:
    """Return the number of runs to train at the same time."""
    from pipelines.cores import cores

    if args.nproc:
        if args.jobs:
            raise UsageError(
                "--jobs and --nproc are both given: choose several runs at a time, or several processes a run"
            )
        return 1
    number: int = args.jobs or (1 if gpu else min(cores(), MOST_JOBS))
    return number


def _without_rival(item: "Item", supervised: Path | None) -> "Item":
    """Drop the training of the supervised network if its file is given."""
    import dataclasses

    from fastrot.reproduce.run_plan import Gallery

    if supervised is None or not isinstance(item, Gallery):
        return item
    return dataclasses.replace(item, supervised=None)


def _carry_out(
    args: argparse.Namespace,
    setting: "Setting",
    workshop: "Workshop",
    plan: "Plan",
    items: "tuple[Item, ...]",
    share: set[str] | None,
    jobs: int,
) -> int:
    from fastrot.reproduce.execute import carry_out
    from fastrot.reproduce.jobs import carry_out_in_jobs
    from fastrot.reproduce.publish import publish
    from fastrot.terminal.console import say

    try:
        setting.make(_stores(plan))
        if jobs > 1:
            left = carry_out_in_jobs(plan, workshop, jobs, share)
        else:
            left = carry_out(plan, workshop, share)
        if share is None:
            args.emit(publish(items, workshop, setting.preset, args.supervised))
    except KeyboardInterrupt:
        say(f"Completed work is saved in {workshop.out}: run the same command to resume.")
        raise
    for line in left:
        say(f"not done: {line}")
    if share is not None:
        args.emit({"not_done": list(left)})
        say(
            "Submit the shares again until all runs are done, then run without --shard to write the tables."
        )
    return 1 if left else 0


def _stores(plan: "Plan") -> set[str]:
    from fastrot.reproduce.run_plan import Gallery

    stores = {run.config.data.store for run in plan.runs}
    stores |= {measurement.store for measurement in plan.measurements}
    return stores | {item.store for item in plan.items if isinstance(item, Gallery) and item.store}


def _setting(args: argparse.Namespace) -> "Setting":
    from fastrot.reproduce.settings import demo_setting, paper_setting, read_sizes

    changes, sizes = _changes(args.changes)
    if args.preset == "paper":
        if sizes:
            raise UsageError("demo.key=value is for --preset demo: remove it, or use --preset demo")
        return paper_setting(args.out, dict(args.store), args.seeds, changes)
    if args.store:
        raise UsageError("--store is for --preset paper: --preset demo generates its own stores")
    import torch

    return demo_setting(
        args.out, read_sizes(sizes), args.seeds, changes, gpu=torch.cuda.is_available()
    )


def _changes(texts: list[str]) -> "tuple[Changes, dict[str, str]]":
    """Split the changes into those of the stages' configs and those of the demo's sizes."""
    from fastrot.reproduce.presets import STAGES, Changes

    stages: dict[str, list[str]] = {stage: [] for stage in STAGES}
    sizes = {}
    for text in texts:
        stage, colon, change = text.partition(":")
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{text!r} is not key=value: write it as, for example, train.batch=16")
        if key.startswith("demo."):
            sizes[key.removeprefix("demo.")] = value
        elif colon and stage in STAGES:
            stages[stage].append(change)
        else:
            for each in STAGES:
                stages[each].append(text)
    return Changes(**{stage: tuple(found) for stage, found in stages.items()}), sizes


def _store(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR, such as kinetics=stores/k600")
    return name, path
