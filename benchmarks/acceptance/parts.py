"""The parts of the acceptance of a GPU, and how they run: see ``benchmarks.acceptance``.

Each part runs in its own process, so a failure, a hang or a broken GPU context does not affect the others.
"""

import argparse
import json
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch

from benchmarks import rotation, train
from benchmarks.acceptance import findings as acceptance_page
from benchmarks.harness import session as whole_run
from benchmarks.harness.inputs import installed
from benchmarks.harness.measure import Options, Result
from benchmarks.harness.processes import run_limited
from benchmarks.loading import codec_rates
from fastrot.commands.arguments import Parser
from fastrot.distributed.runtime import Runtime
from pipelines.files import write_file

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("__main__.py")

MEASURES: dict[str, Callable[..., Result]] = {
    "rotation": rotation.run,
    "train": train.run,
    "loader": codec_rates.run,
}

SHARES = {"rotation": 0.12, "train": 0.36, "loader": 0.18, "tests": 0.34}
"""Of the budget, by part, in the order in which they run; what one leaves goes to those after it.

The tests come last because their time is unpredictable: kernels are compiled for every shape.
"""

NO_GPU = "no GPU"
OURS = ("fastrot", "pipelines", "benchmarks", "tests")
SPARE_S = 25.0  # reserved from a part's time for unmeasured work: imports, preparing and the end


def main(argv: list[str] | None = None) -> int:
    """Run all parts and write both files, or with --part measure one part for the parent process.

    Returns:
        the exit code: 1 if a part or a test failed. Missed goals are only reported.
    """
    parser = Parser(
        prog="python -m benchmarks.acceptance",
        description="Run the GPU's tests; compare rotation, training and loading with their goals.",
    )
    parser.add_argument("--budget", type=float, default=480, help="seconds for all parts")
    parser.add_argument(
        "--out", type=Path, default=Path("acceptance"), help="folder for the results"
    )
    parser.add_argument(
        "--quick", action="store_true", help="use the smallest sizes; the results are meaningless"
    )
    parser.add_argument("--part", choices=MEASURES, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.part:
        measure(args.part, args.out / f"{args.part}.json", budget_s=args.budget, quick=args.quick)
        return 0
    content = accept(args.budget, args.out.resolve(), quick=args.quick)
    write_file(args.out / "acceptance.json", json.dumps(content, indent=1) + "\n")
    page = acceptance_page.render(content)
    write_file(args.out / "acceptance.txt", page)
    print(page)
    return 1 if any(part["status"] == "failed" for part in content["parts"].values()) else 0


def measure(part: str, file: Path, *, budget_s: float, quick: bool = False) -> None:
    """Measure one part in this process; ``file`` gets the results so far from early on."""

    def keep(result: Result) -> None:
        write_file(file, json.dumps(result.to_json()))

    with Runtime.start() as runtime:
        options = Options(runtime, quick=quick, shown=False, keep=keep)
        keep(MEASURES[part](options, budget_s=budget_s))


def accept(budget_s: float, out: Path, *, quick: bool = False) -> dict[str, Any]:
    """Run all parts within a budget and return all findings."""
    began = time.monotonic()
    content: dict[str, Any] = {"environment": environment(), "budget_s": budget_s, "parts": {}}
    gpu = has_gpu()
    for place, name in enumerate(SHARES):
        if not gpu:
            content["parts"][name] = {"status": NO_GPU}
            continue
        left_s = budget_s - (time.monotonic() - began)
        seconds = whole_run.budget_of(name, left_s, list(SHARES)[place:], SHARES)
        print(f"{name}: up to {seconds:.0f} s", flush=True)
        content["parts"][name] = run_part(name, seconds, out, quick=quick)
    content["projection"] = acceptance_page.project(content["parts"]["train"]) if gpu else NO_GPU
    content["left_out"] = acceptance_page.left_out(content, absent_packages())
    content["took_s"] = round(time.monotonic() - began, 1)
    return content


def has_gpu() -> bool:
    """Return whether torch sees a GPU."""
    return torch.cuda.is_available()


def environment() -> dict[str, Any]:
    """Return what a reader must know about the machine, or a traceback if that fails."""
    try:
        with Runtime.start() as runtime:
            found = whole_run.environment(runtime)
        return {**found, "command": ["python", "-m", "benchmarks.acceptance", *sys.argv[1:]]}
    except Exception:
        return {"torch": torch.__version__, "failed": traceback.format_exc()}


def run_part(name: str, seconds: float, out: Path, *, quick: bool = False) -> dict[str, Any]:
    """Run one part in a separate process and return its status and findings."""
    began = time.monotonic()
    try:
        found = (
            run_tests(seconds, out)
            if name == "tests"
            else run_measure(name, seconds, out, quick=quick)
        )
    except Exception:
        found = {"status": "failed", "error": traceback.format_exc()}
    return {**found, "took_s": round(time.monotonic() - began, 1)}


def run_measure(name: str, seconds: float, out: Path, *, quick: bool = False) -> dict[str, Any]:
    """Measure one part in a separate process."""
    file = out / f"{name}.json"
    file.unlink(missing_ok=True)
    command = [sys.executable, str(SCRIPT), "--part", name, "--out", str(out)]
    command += ["--quick"] if quick else []
    inner_s = max(seconds - SPARE_S, seconds / 2)
    done = run_limited([*command, "--budget", str(inner_s)], seconds=seconds)
    found: dict[str, Any] = {"status": "done"}
    if done.code != 0:
        found = {"status": "failed", "error": _why(done.code, seconds, done.errors)}
    if file.exists():
        found["result"] = json.loads(file.read_text())
        file.unlink()
    return found


def run_tests(seconds: float, out: Path) -> dict[str, Any]:
    """Run the tests marked gpu, which must not skip."""
    if not installed("pytest"):
        return {"status": "skipped", "error": "pytest is not installed"}
    if not (ROOT / "tests").is_dir():
        return {"status": "skipped", "error": "no tests next to the package"}
    file = out / "tests.xml"
    file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-vv", "-p", "no:cacheprovider"]
    # If a package that only developers have is missing, such as hypothesis, only its test file fails.
    command += ["--continue-on-collection-errors"]
    done = run_limited(
        [*command, f"--junitxml={file}", "tests"],
        seconds=seconds,
        folder=ROOT,
        environment={"FASTROT_REQUIRE_GPU": "1"},
    )
    if not file.exists():
        # If pytest is stopped, it writes no file; its output lines name the tests that finished.
        return {
            "status": "failed",
            "error": _why(done.code, seconds, done.errors + done.output[-3000:]),
            "tests": {
                what.lower(): len(re.findall(rf" {what}\b", done.output))
                for what in ("PASSED", "FAILED", "ERROR", "SKIPPED")
            },
            "failures": {},
        }
    return read_junit(file)


def read_junit(file: Path, found: Callable[[str], bool] = installed) -> dict[str, Any]:
    """Return the tests' status, counts and failures, and the tests skipped for each missing package.

    Args:
        file: The file that pytest wrote. A test file that pytest could not read is one error.
        found: Returns whether a module is available; by default, in this Python.
    """
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failures: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    for case in ElementTree.parse(file).iter("testcase"):
        wrong = [child for child in case if child.tag in ("failure", "error")]
        if wrong:
            text = f"{wrong[0].get('message', '')}\n{wrong[0].text or ''}"
            package = _missing_package(text, found)
            if package is not None:
                left_out[package] += 1
                continue
            counts["failed"] += 1
            failures[f"{case.get('classname')}.{case.get('name')}"] = text[-2000:]
        elif any(child.tag == "skipped" for child in case):
            counts["skipped"] += 1
        else:
            counts["passed"] += 1
    return {
        "status": "failed" if failures or not counts["passed"] else "done",
        "tests": counts,
        "failures": failures,
        "left_out": dict(left_out),
    }


def _missing_package(text: str, found: Callable[[str], bool]) -> str | None:
    """Return the package whose absence made a test fail, or None for another failure."""
    if any(f"NVIDIA DALI {what}" in text for what in ("cannot be imported", "is not installed")):
        return None if found("nvidia.dali") else "NVIDIA DALI"
    for module in re.findall(r"No module named '([\w.]+)'", text):
        package = str(module).partition(".")[0]
        if package not in OURS and not found(package):
            return package
    return None


def absent_packages() -> Mapping[str, str]:
    """Return the missing packages that a part would use, and what is skipped without them."""
    wanted = {
        "DALI": ("nvidia.dali", "the loader and training on real data"),
        "apex": ("apex", "its FusedSGD"),
        "triton": ("triton", "the rotation kernel and torch.compile"),
    }
    return {name: what for name, (module, what) in wanted.items() if not installed(module)}


def _why(code: int | None, seconds: float, errors: str) -> str:
    how = f"not done after {seconds:.0f} s" if code is None else f"ended with {code}"
    return f"{how}\n{errors[-4000:]}"
