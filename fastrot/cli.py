"""The command line: a thin table of subcommands, and the one place where errors become exit codes."""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

from fastrot import __version__
from pipelines.errors import FastrotError, PreemptedError, UsageError

COMMANDS = (
    "demo",
    "prepare",
    "store",
    "pretrain",
    "finetune",
    "evaluate",
    "features",
    "weights",
    "reproduce",
    "report",
    "doctor",
    "bench",
)

INTERRUPTED = 130  # what shells report for a program that Ctrl-C stopped
PREEMPTED = 75  # sysexits.h's EX_TEMPFAIL: the same command, with --resume, goes on


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every subcommand. Imports neither torch nor DALI, so that --help is quick."""
    parser = argparse.ArgumentParser(
        prog="fastrot",
        description="Video pre-training by rotation prediction (3DRotNet), with DALI and AMP.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 75 preempted (saved, to be resumed), "
        "130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"fastrot {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"fastrot.commands.{name}").add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, one of those that ``--help`` lists."""
    # Read by OpenMP when torch is imported, so no later than here: threads that spin while they wait
    # bring every process of a busy machine to a crawl.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file's name may be bytes that are no text: they are shown escaped.
            stream.reconfigure(errors="backslashreplace")
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except FastrotError as error:
        print(f"fastrot: error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except PreemptedError:
        print("fastrot: preempted", file=sys.stderr)
        return PREEMPTED
    except KeyboardInterrupt:
        print("fastrot: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`fastrot ... | head`): nobody is left to tell.
        sys.stderr.close()
        return 1
