"""``fastrot doctor``: check this machine for training, and report problems with their fixes."""

import argparse
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "doctor",
        help="check whether this machine can train, and report what is missing",
        description="Check Python, torch, CUDA, the GPUs and their decoders, DALI and its codecs, memory, "
        "cores and limits. Each line is good, a warning with its fix, or missing with the consequence. "
        "Exit code 1: training cannot run.",
    )
    parser.add_argument(
        "--store", type=Path, help="also measure the read speed of this store's disk"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the checks; return 1 if training cannot run."""
    import dataclasses
    import json

    from fastrot.doctor.diagnose import diagnose, stops

    checks = diagnose(args.store)
    stopped = stops(checks)
    if args.json:
        plain = [dataclasses.asdict(check) for check in checks]
        print(json.dumps({"can_train": not stopped, "checks": plain}, indent=1))
        return int(stopped)
    for check in checks:
        print(check)
    counts = [sum(check.status == status for check in checks) for status in ("warning", "missing")]
    verdict = "training cannot run" if stopped else "training can run"
    print(f"\n{verdict}: {counts[0]} warnings, {counts[1]} missing")
    return int(stopped)
