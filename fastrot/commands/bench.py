"""``fastrot bench``: measure throughput on this machine and compare it with limits and other libraries."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fastrot.commands.arguments import add_action, add_json, offer_instead, positive, seconds

if TYPE_CHECKING:
    from benchmarks.harness.measure import Options, Result

BENCHMARKS = {
    "loader": "clips per second for every codec, compared with other loaders and the machine's limits",
    "rotation": "the op that rotates a batch four times, compared with the memory bandwidth",
    "train": "the training step: total time, time of its parts, share of the processor's peak",
    "scaling": "the training step on 1..N processes",
    "startup": "opening a store of 500,000 videos: time, first batch, memory",
    "all": "all benchmarks in sequence, within one time budget",
}

READ_INPUT = ("loader", "train", "all")
READ_STORE = (*READ_INPUT, "startup")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "bench",
        help="measure this machine: loader, rotation, train, scaling, startup, all",
        description="Measure throughput on this machine and compare it with hardware limits and other "
        "libraries (install them with the extra `peers`; missing ones are listed). Run nothing else at the "
        "same time.",
    )
    benchmarks = parser.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    for name, about in BENCHMARKS.items():
        _add_benchmark(benchmarks, name, about)
    about = "write Markdown, and a chart of loaders (needs matplotlib, extra `plots`), from a run's JSON"
    report = add_action(benchmarks, "report", about, run_report)
    report.add_argument("results", type=Path, help="file written by --out")
    report.add_argument(
        "--out",
        type=Path,
        default=Path(),
        help="folder for the two files, which get the JSON's name",
    )


def _add_benchmark(
    benchmarks: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, about: str
) -> None:
    parser = add_action(benchmarks, name, about, run)
    parser.add_argument(
        "--budget",
        type=seconds,
        default=600 if name == "all" else 180,
        metavar="SECONDS",
        help="total time; more time means more repeats",
    )
    parser.add_argument(
        "--out", type=Path, metavar="PATH", help="write the results to this JSON file"
    )
    add_json(parser)
    # Until version 0.1 the file was given after --json.
    offer_instead(parser, "--json", "--out")
    parser.add_argument("rest", nargs="?", help=argparse.SUPPRESS)
    if name in READ_STORE:
        parser.add_argument("--store", type=Path, help="store to read (default: a new one)")
    if name in READ_INPUT:
        parser.add_argument(
            "--input",
            choices=("auto", "footage", "demo"),
            default="auto",
            help="videos to create stores from: real footage (extra `footage`) or the demo's generated "
            "videos; auto: footage if it is installed",
        )
    if name == "loader":
        parser.add_argument(
            "--processes",
            type=positive,
            metavar="N",
            help="measure N processes that load from one store at the same time, as on a node with N GPUs, "
            "and one alone (default: measure one process, with limits and other loaders)",
        )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="use the smallest sizes, to check that everything runs; the results are meaningless",
    )
    parser.set_defaults(store=None, input="auto", processes=None)


def run(args: argparse.Namespace) -> int:
    """Run the benchmarks; print and write the results after each one."""
    began = time.monotonic()
    from benchmarks.harness import measure as method
    from benchmarks.harness import results_page as report
    from benchmarks.harness import session as whole_run
    from fastrot.distributed.runtime import Runtime
    from fastrot.terminal.console import say, show
    from pipelines.errors import UsageError

    names = [name for name in BENCHMARKS if name != "all"]
    names = names if args.benchmark == "all" else [args.benchmark]
    if args.rest is not None:
        about_json = ", and --json takes no file" if args.as_json else ""
        raise UsageError(
            f"{args.rest} is no option{about_json}: use --out {args.rest} to write the results"
        )
    if args.out is not None:
        whole_run.require_writable(args.out)
    results: list[Result] = []
    with Runtime.start() as runtime:
        options = method.Options(runtime, args.store, args.input, args.quick)
        found = whole_run.environment(runtime)
        for i, name in enumerate(names):
            left = args.budget - (time.monotonic() - began)
            share = whole_run.budget_of(name, left, names[i:])
            results.append(_measure(name, options, share, args.processes, alone=len(names) == 1))
            took_s = time.monotonic() - began
            if args.out is not None:
                whole_run.save(args.out, found, results, took_s=took_s)
            for table in report.tables(results[-1].to_json()):
                show(table.to_rich())
            for note in results[-1].notes if args.processes else ():
                say(note)
    args.emit(whole_run.content(found, results, took_s=time.monotonic() - began))
    if args.quick:
        say("--quick: these results are meaningless, because each case ran for a moment only")
    say(f"{time.monotonic() - began:.0f} s" + (f"; results in {args.out}" if args.out else ""))
    return 1 if any(result.broken for result in results) else 0


def _measure(
    name: str, options: "Options", budget_s: float, processes: int | None, *, alone: bool
) -> "Result":
    """Run one benchmark. A failure is recorded in its result, so that the others still run.

    Raises:
        UsageError: The options are wrong, and this is the only benchmark requested.
    """
    import importlib

    from benchmarks.harness import measure as method
    from pipelines.errors import UsageError

    if budget_s <= 0:
        return method.Result.of_nothing(name)
    try:
        if processes is not None:
            from benchmarks.loading import node_loading

            return node_loading.run(options, processes=processes, budget_s=budget_s)
        result: Result = importlib.import_module(f"benchmarks.{name}").run(
            options, budget_s=budget_s
        )
    except Exception as error:
        if alone and isinstance(error, UsageError):
            raise
        return method.Result.of_failure(name, error)
    return result


def run_report(args: argparse.Namespace) -> int:
    """Write Markdown and a chart."""
    from benchmarks.harness import results_page as report

    for path in report.write(args.results, args.out):
        print(path)
    return 0
