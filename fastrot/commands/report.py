"""``fastrot report``: write runs and reproduced tables as one HTML page."""

import argparse
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "report",
        help="make one self-contained HTML page of runs and reproduced tables",
        description="Make one HTML page of curves, tables, attention sheets, kernels and environment. "
        "The page is a single file and loads nothing from the network.",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUNS",
        help="folders of runs (runs/NAME) or of `fastrot reproduce`",
    )
    parser.add_argument("--out", type=Path, default=Path("report.html"), help="output file")
    parser.add_argument("--title", default="fastrot report", help="heading of the page")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the page."""
    from fastrot.report.page import make_page
    from fastrot.terminal.console import say
    from pipelines.files import write_file

    page = make_page(args.runs, args.title).encode()
    write_file(args.out, page)
    say(f"written to {args.out}: {len(page) / 1e3:,.0f} kB")
    return 0
