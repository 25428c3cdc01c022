"""The command ``python -m benchmarks.acceptance``: runs the parts one after another, and reports.

Each part runs in its own process, so a failure, a hang or a broken GPU context does not affect the others.
This process does not import torch, so it works wherever Python starts.
"""

import argparse
import ctypes
import json
import signal
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.acceptance import findings
from benchmarks.acceptance.parts import MACHINE, PACKAGES, PARTS, Part, budget_of, limit_of
from benchmarks.acceptance.rows import ROWS, Turn, add_row, parts_of, read_rows
from benchmarks.harness.packages import installed
from benchmarks.harness.processes import run_limited
from fastrot.commands.arguments import Parser
from pipelines.files import write_file

SCRIPT = Path(__file__).with_name("__main__.py")

NO_GPU = "no GPU"


def main(argv: list[str] | None = None) -> int:
    """Run the parts and write both files; with --report only write the files from the rows.

    Returns:
        the exit code: 1 if a part or a test failed or was stopped. Missed goals are only reported.
    """
    parser = Parser(
        prog="python -m benchmarks.acceptance",
        description="Measure a GPU against its limits and goals, and run the tests that need one.",
    )
    parser.add_argument(
        "--stage",
        type=int,
        choices=(1, 2),
        help="1: what does not need DALI; 2: the rest; both if not given",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[part.name for part in PARTS],
        metavar="PART",
        help="only this part and the machine's description; may be given several times. Parts: "
        + ", ".join(part.name for part in PARTS),
    )
    parser.add_argument("--budget", type=float, help="seconds for all parts (default: their sum)")
    parser.add_argument(
        "--out", type=Path, default=Path("acceptance"), help="folder for the results"
    )
    parser.add_argument(
        "--report", action="store_true", help="measure nothing: write the files from the rows"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="use the smallest sizes, also without a GPU; the results are meaningless",
    )
    parser.add_argument("--part", choices=[part.name for part in PARTS], help=argparse.SUPPRESS)
    parser.add_argument("--ends", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if args.part:
        take_turn(Turn(out / ROWS, args.part, args.ends, quick=args.quick))
        return 0
    if not args.report:
        parts = chosen(args.stage, args.only)
        budget_s = budget_of(parts) if args.budget is None else args.budget
        try:
            run_parts(parts, out, budget_s, quick=args.quick)
        finally:
            content, page = write_report(out)
    else:
        content, page = write_report(out)
    print(page)
    return 1 if findings.failed(content) else 0


def chosen(stage: int | None, only: Sequence[str] | None) -> list[Part]:
    """Return the parts of a stage, or those that are named; the machine's description is always one."""
    stages = (0, stage) if stage else (0, 1, 2)
    return [
        part
        for part in PARTS
        if part.stage in stages and (not only or not part.stage or part.name in only)
    ]


def run_parts(parts: Sequence[Part], out: Path, budget_s: float, *, quick: bool = False) -> None:
    """Run parts within a budget; the rows and both files grow with every part."""
    began = time.monotonic()
    for place, part in enumerate(parts):
        left_s = budget_s - (time.monotonic() - began)
        seconds = limit_of(part, max(left_s, 0.0), parts[place:])
        reason = why_not(part, out, quick=quick)
        if reason is not None:
            add_row(out / ROWS, part.name, "began", limit_s=0.0)
            add_row(out / ROWS, part.name, "ended", status=reason, took_s=0.0)
            continue
        print(f"{part.name}: up to {seconds:.0f} s", flush=True)
        run_part(part, seconds, out, quick=quick)
        write_report(out)


def why_not(part: Part, out: Path, *, quick: bool = False) -> str | None:
    """Return why a part cannot run on this machine, or None if it can."""
    missing = [PACKAGES[module] for module in part.needs if not installed(module)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    machine = parts_of(read_rows(out / ROWS)).get(MACHINE, {})
    gpu = machine.get("environments", {}).get("", {}).get("gpu")
    # If the machine's part did not get to an answer, the others try.
    return NO_GPU if part.stage and gpu is False and not quick else None


def run_part(part: Part, seconds: float, out: Path, *, quick: bool = False) -> None:
    """Run one part in a separate process; its end is a row, also if it is stopped or killed."""
    rows = out / ROWS
    began = time.monotonic()
    add_row(rows, part.name, "began", limit_s=round(seconds, 1))
    command = [sys.executable, str(SCRIPT), "--part", part.name, "--out", str(out)]
    command += ["--quick"] if quick else []
    done = run_limited([*command, "--ends", str(time.time() + seconds)], seconds=seconds)
    ended: dict[str, Any] = {"status": "done"}
    if done.code is None:
        ended = {"status": "stopped", "error": f"not done after {seconds:.0f} s"}
    elif done.code < 0:
        ended = {"status": "killed", "error": f"by signal {-done.code}"}
    elif done.code > 0:
        ended = {"status": "failed", "error": f"ended with {done.code}"}
    if done.code != 0:
        ended["error"] += f"\n{done.output[-1000:]}\n{done.errors[-3000:]}"
    took_s = round(time.monotonic() - began, 1)
    add_row(rows, part.name, "ended", **ended, took_s=took_s)


def take_turn(turn: Turn) -> None:
    """Run a part in this process, which ends with its parent."""
    if sys.platform == "linux":
        # Otherwise a part would keep the GPU busy after its parent was killed.
        parent_death_signal = 1  # PR_SET_PDEATHSIG of linux/prctl.h
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)
    part = next(part for part in PARTS if part.name == turn.part)
    module, _, function = part.function.partition(".")
    getattr(import_module(f"benchmarks.acceptance.{module}"), function)(turn)


def write_report(out: Path) -> tuple[dict[str, Any], str]:
    """Write both files from the rows, and return their contents."""
    content = findings.content_of(read_rows(out / ROWS))
    page = findings.render(content)
    write_file(out / "acceptance.json", json.dumps(content, indent=1) + "\n")
    write_file(out / "acceptance.txt", page)
    return content, page
