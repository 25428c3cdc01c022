"""``fastrot doctor``: what this machine has for training, what it lacks, and what to do about it."""

import argparse
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "doctor",
        help="say what this machine has for training, and what it lacks",
        description="Look at Python, torch, CUDA, the GPUs and their decoders, DALI and its codecs, memory, "
        "cores and limits. Each line is good, a warning with its remedy, or missing with what that costs. "
        "Exit code 1: something would stop training.",
    )
    parser.add_argument(
        "--store", type=Path, help="also measure how fast this store's disk gives clips"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the checks; 1 if something would stop training."""
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
    verdict = "training would not run" if stopped else "training can run"
    print(f"\n{verdict}: {counts[0]} warnings, {counts[1]} missing")
    return int(stopped)
