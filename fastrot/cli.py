"""The command line: the subcommands, and the mapping from errors to exit codes."""

import argparse
import contextlib
import importlib
import io
import os
import sys
import time
from collections.abc import Sequence

from fastrot.commands.arguments import Parser
from fastrot.distributed.error_file import record_error
from fastrot.distributed.first_process import is_first_process
from fastrot.terminal.hangup import silence
from fastrot.terminal.json_output import json_output
from fastrot.terminal.wrapping import fit
from fastrot.version import __version__
from pipelines.errors import FastrotError, PreemptedError, UsageError

COMMANDS = (
    "demo",
    "prepare",
    "store",
    "configs",
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

INTERRUPTED = 130  # what shells report for a program stopped by Ctrl-C
_FOR_RANK_0_S = 5.0
PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: the same command with --resume continues


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all subcommands. Imports neither torch nor DALI, so ``--help`` is fast."""
    parser = Parser(
        prog="fastrot",
        description="Video pre-training by rotation prediction (3DRotNet), with DALI and AMP.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 75 preempted (saved, can be resumed), "
        "130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"fastrot {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"fastrot.commands.{name}").add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (listed by ``--help``)."""
    # OpenMP reads this when torch is imported, so it must be set before that. Threads that spin while
    # they wait slow down every process on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Without it torch's profiler prints lines of its own (USDT:...) among those of the run.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # File names may contain bytes that are not valid text; print them escaped.
            stream.reconfigure(errors="backslashreplace")
    args = _parse(argv)
    try:
        with json_output(vars(args).get("as_json", False)) as emit:
            args.emit = emit if is_first_process() else _ignore  # all have the same value
            return int(args.run(args))
    except FastrotError as error:
        record_error(error)
        _report(error)
        return 2 if isinstance(error, UsageError) else 1
    except PreemptedError as error:
        record_error(error)
        _say("fastrot: preempted")
        return PREEMPTED
    except KeyboardInterrupt as error:
        record_error(error)
        _say("fastrot: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output is gone (`fastrot ... | head`), so there is no one to report to.
        sys.stderr.close()
        return 1
    except Exception as error:
        record_error(error)
        raise


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments. Usage errors are the same in all ranks, so only rank 0 prints them."""
    parser = build_parser()
    if is_first_process():
        return parser.parse_args(argv)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return parser.parse_args(argv)
    except SystemExit:
        _leave_it_to_rank_0()
        raise


def _report(error: FastrotError) -> None:
    """Print an error once: usage errors from rank 0, other errors from the first rank that hit them."""
    if isinstance(error, UsageError):
        if is_first_process():
            _say(f"fastrot: error: {error}")
        else:
            _leave_it_to_rank_0()
    elif not error.reported:
        _say(f"fastrot: error: {error}")


def _ignore(value: object) -> None:
    """Take the place of ``emit`` in processes that do not print."""


def _leave_it_to_rank_0() -> None:
    """Give rank 0 time to print: torchrun stops it as soon as another rank has exited."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        time.sleep(_FOR_RANK_0_S)


def _say(line: str) -> None:
    try:
        print(fit(line, sys.stderr), file=sys.stderr, flush=True)
    except OSError:  # the terminal is gone; keep the exit code
        silence(sys.stderr.fileno())
