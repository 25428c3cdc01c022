"""``fastrot reproduce``: a table or figure of the paper by one command."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fastrot.commands.arguments import options_anywhere, positive, share
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
BEYOND = ("probe", "retrieval", "supervised", "fit", "audit")
TARGETS = (*PAPER_TARGETS, *BEYOND)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "reproduce",
        help="make the paper's tables and figures",
        description="Train and measure what a table or figure of the paper needs, and print it beside the "
        "paper's numbers. Finished runs are found again and not repeated; the same command goes on after an "
        "interruption. Docs: docs/reproducing.md.",
        epilog="key=value changes every training, pretrain:key=value and finetune:key=value one kind, "
        "demo.key=value what the demo preset generates.",
    )
    parser.add_argument("target", choices=(*TARGETS, "all"), help="what to reproduce")
    parser.add_argument(
        "changes", nargs="*", metavar="key=value", help="changes to the runs' configs"
    )
    parser.add_argument(
        "--preset",
        choices=("paper", "demo"),
        required=True,
        help="the paper's sizes on your stores, or small generated videos on two CPU cores",
    )
    parser.add_argument(
        "--store",
        action="append",
        default=[],
        type=_store,
        metavar="NAME=DIR",
        help="a store of the paper preset: kinetics, moments, ucf101, hmdb51 (default: stores/NAME), and for "
        "`fit` kinetics-crop and ucf101-crop; may be given again",
    )
    parser.add_argument(
        "--out", type=Path, help="where everything goes (default: reproduce-PRESET)"
    )
    parser.add_argument(
        "--seeds", type=positive, help="of Tables 2 and 5 (default: paper 1, demo 3)"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the plan and its cost, and do nothing"
    )
    parser.add_argument(
        "--rate",
        metavar="TFLOPS|FILE",
        help="how fast one GPU trains, for --dry-run: TFLOP/s, or a JSON of `fastrot bench train`",
    )
    parser.add_argument(
        "--shard",
        type=share,
        metavar="I/N",
        help="carry out the I-th (from 1) of N shares of the runs, such as one task of a Slurm array",
    )
    parser.add_argument(
        "--nproc",
        type=positive,
        default=0,
        metavar="N",
        help="train each run in N processes of this machine, by torchrun",
    )
    parser.add_argument(
        "--supervised",
        type=Path,
        metavar="FILE",
        help="a supervised network in Hara's form, for figure5 and attention, instead of training one",
    )
    parser.set_defaults(run=run)
    options_anywhere(parser, "changes")


def run(args: argparse.Namespace) -> int:
    """Plan, carry out, and write the tables and figures."""
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
    from fastrot.reproduce.run_plan import deal, make_plan
    from fastrot.reproduce.tables import BUILDERS
    from fastrot.terminal.console import say, show

    args.out = args.out or Path(f"reproduce-{args.preset}")
    setting = _setting(args)
    rate = None
    if args.rate is not None:
        rate = read_rate(args.rate)
    elif args.preset == "demo":
        rate = cpu_rate()
    keys = TARGETS if args.target == "all" else (args.target,)
    items = tuple(_without_rival(BUILDERS[key](setting.preset), args.supervised) for key in keys)
    plan = make_plan(items)
    workshop = Workshop(args.out, nproc=args.nproc)
    costs = count(plan, setting)
    if args.dry_run:
        for line in rows_of(items):
            say(line)
        show(overview(plan, setting, rate, workshop).to_rich())
        for line in item_lines(items, setting, rate):
            say(line)
        say(f"{amount(costs.total)} in all" + ("" if costs.complete else " and more"))
        missing = setting.missing(_stores(plan, items))
        if missing:
            say(f"not there yet: {', '.join(missing)}")
        if rate is None:
            say(NO_RATE)
            return 0
    if rate is not None:
        time = hours(costs, rate, overhead=args.preset == "demo")
        total = f"{60 * time:.0f} minutes" if args.preset == "demo" else f"{time:.1f} GPU-hours"
        say(f"about {total} of computing at {rate.tflops:.3g} TFLOP/s ({rate.source})")
        if args.preset == "demo":
            say("and some minutes to make the videos, the first time")
    if args.dry_run:
        return 0
    share = None
    if args.shard is not None:
        index, parts = args.shard
        share = deal(plan, costs.weights(), parts)[index - 1]
    return _carry_out(args, setting, workshop, plan, share)


def _without_rival(item: "Item", supervised: Path | None) -> "Item":
    """Leave out the training of the supervised network where its file is given."""
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
    share: set[str] | None,
) -> int:
    from fastrot.reproduce.execute import carry_out
    from fastrot.reproduce.publish import publish
    from fastrot.terminal.console import say

    try:
        setting.make(_stores(plan, plan.items))
        left = carry_out(plan, workshop, share)
        if share is None:
            publish(plan.items, workshop, setting.preset, args.supervised)
    except KeyboardInterrupt:
        say(f"What is done is in {workshop.out}: the same command goes on from there.")
        raise
    for line in left:
        say(f"left: {line}")
    if share is not None:
        say(
            "Submit the shares again until nothing is left, then run without --shard for the tables."
        )
    return 1 if left else 0


def _stores(plan: "Plan", items: "tuple[Item, ...]") -> set[str]:
    from fastrot.reproduce.run_plan import Gallery

    stores = {run.config.data.store for run in plan.runs}
    stores |= {measurement.store for measurement in plan.measurements}
    return stores | {item.store for item in items if isinstance(item, Gallery) and item.store}


def _setting(args: argparse.Namespace) -> "Setting":
    from fastrot.reproduce.settings import demo_setting, paper_setting, read_sizes

    changes, sizes = _changes(args.changes)
    if args.preset == "paper":
        if sizes:
            raise UsageError("demo.key=value changes what --preset demo generates")
        return paper_setting(args.out, dict(args.store), args.seeds, changes)
    if args.store:
        raise UsageError("--preset demo generates its stores: --store is for --preset paper")
    import torch

    return demo_setting(
        args.out, read_sizes(sizes), args.seeds, changes, gpu=torch.cuda.is_available()
    )


def _changes(texts: list[str]) -> "tuple[Changes, dict[str, str]]":
    """Sort the changes: of both stages' configs, and of the demo's sizes."""
    from fastrot.reproduce.presets import STAGES, Changes

    stages: dict[str, list[str]] = {stage: [] for stage in STAGES}
    sizes = {}
    for text in texts:
        stage, colon, change = text.partition(":")
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{text!r} is no change: write key=value, such as train.batch=16")
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
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR, such as kinetics=stores/k400")
    return name, path
