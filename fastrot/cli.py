"""The command line: a thin table of subcommands, and the one place where errors become exit codes."""

import argparse
import contextlib
import importlib
import io
import os
import sys
import time
from collections.abc import Sequence

from fastrot.terminal.hangup import silence
from fastrot.version import __version__
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
_FOR_RANK_0_S = 5.0
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
    args = _parse(argv)
    try:
        return int(args.run(args))
    except FastrotError as error:
        _report(error)
        return 2 if isinstance(error, UsageError) else 1
    except PreemptedError:
        _say("fastrot: preempted")
        return PREEMPTED
    except KeyboardInterrupt:
        _say("fastrot: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`fastrot ... | head`): nobody is left to tell.
        sys.stderr.close()
        return 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments. What is wrong with them is the same in all ranks, and printed by rank 0."""
    parser = build_parser()
    if _is_first_rank():
        return parser.parse_args(argv)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return parser.parse_args(argv)
    except SystemExit:
        _leave_it_to_rank_0()
        raise


def _report(error: FastrotError) -> None:
    """Print an error once: wrong usage by rank 0, for it is the same in all; others by who met it first."""
    if isinstance(error, UsageError):
        if _is_first_rank():
            _say(f"fastrot: error: {error}")
        else:
            _leave_it_to_rank_0()
    elif not error.reported:
        _say(f"fastrot: error: {error}")


def _is_first_rank() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _leave_it_to_rank_0() -> None:
    """Give rank 0 time to print: torchrun ends it as soon as another one has ended."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        time.sleep(_FOR_RANK_0_S)


def _say(line: str) -> None:
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:  # the terminal is gone, which does not change the exit code
        silence(sys.stderr.fileno())
