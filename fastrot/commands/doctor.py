"""``fastrot doctor``: check this machine for training, and report problems with their fixes."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastrot.commands.arguments import add_json
from fastrot.distributed.error_file import record_error
from pipelines.errors import FastrotError

if TYPE_CHECKING:
    from fastrot.doctor.check import Check


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "doctor",
        help="check whether this machine can train, and report what is missing",
        description="Check Python, torch, CUDA, the GPUs and their decoders, DALI and its codecs, memory, "
        "cores, limits and connections. Each line is good, a warning with its fix, or missing with the "
        "consequence. Under torchrun the processes are also checked together: the bandwidth of NCCL and "
        "gloo, the slowest process and the slowest link. Exit code 1: training cannot run.",
    )
    parser.add_argument(
        "--store", type=Path, help="also measure the read speed of this store's disk"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the checks; return 1 if training cannot run."""
    import dataclasses

    from fastrot.distributed.first_process import is_first_on_machine, is_first_process
    from fastrot.doctor.diagnose import Launch, diagnose, stops
    from fastrot.doctor.together import check_together, meet
    from fastrot.terminal.console import say

    launch, shown = Launch.read(), is_first_process()
    met = meet() if launch.world > 1 else None
    # One process of each machine checks it, and rank 0 prints what all have found.
    checks = diagnose(args.store, launch) if is_first_on_machine() else []
    if shown:
        _print(checks)
    if met is not None:
        if shown:
            say(f"checking {launch.world} processes together ...")
        together = check_together(checks, met)
        if shown:
            _print(together)
        checks = [*checks, *together]
    if not shown:  # a process that fails would make torchrun stop rank 0 before it has printed
        return 0
    stopped = stops(checks)
    if stopped:
        reasons = "; ".join(f"{check.name}: {check.found}" for check in checks if check.stops)
        record_error(FastrotError(f"training cannot run: {reasons}"))
    plain = [dataclasses.asdict(check) for check in checks]
    args.emit({"can_train": not stopped, "checks": plain})
    counts = [sum(check.status == status for check in checks) for status in ("warning", "missing")]
    verdict = "training cannot run" if stopped else "training can run"
    say(f"\n{verdict}: {counts[0]} warnings, {counts[1]} missing")
    return int(stopped)


def _print(checks: "Sequence[Check]") -> None:
    from fastrot.doctor.check import INDENT
    from fastrot.terminal.console import say

    for check in checks:
        say(str(check), hang=INDENT)
