"""The tests marked gpu, in this process: each outcome is a row at once.

pytest is called with none of its plugins' options, so it needs no package besides itself: see ``ARGUMENTS``.
"""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.acceptance.kernel_configs import compile_few
from benchmarks.acceptance.rows import Turn
from benchmarks.harness.packages import installed

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]

ARGUMENTS = ("-m", "gpu", "-p", "no:cacheprovider", "--continue-on-collection-errors")
"""If a package that only developers have is missing, such as scipy, only its test file fails."""

WITH_DALI = ("tests/pipelines", "tests/fastrot/training")
"""The folders whose tests make stores, which takes DALI and PyAV."""

KERNEL = "tests/fastrot/rotation/test_kernel.py"

KERNEL_TESTS = (
    "test_every_type[cuda-torch.uint8-torch.bfloat16]",
    "test_every_type[cuda-torch.int16-torch.float16]",
    "test_channels_beyond_the_colours_are_zero[cuda-4-torch.bfloat16]",
    "test_channels_beyond_the_colours_are_zero[cuda-8-torch.bfloat16]",
    "test_padded_oblong_frames[cuda-4]",
    "test_views[cuda-crop]",
    "test_torch_accepts_the_op_and_its_fake[8-cuda]",
)
"""The tests of the rotation kernel that the acceptance runs. ``make test-gpu`` runs all.

Together they see both types of pixels, all three types and numbers of channels of the output, frames that are
oblong or that no tile divides, a view, and the custom op.
"""

COMPILATION_S = 2.2
"""CPU seconds to compile the kernel for one set of rotations, types and channels on a cold cache, at most.

Measured for sm_90 with one configuration: 0.6 to 2.1 with four rotations, 0.3 to 0.8 with two. Each test of
the kernel compiles it once.
"""

NOT_RUN = "compiles the rotation kernel once more: run `make test-gpu`"

OURS = ("fastrot", "pipelines", "benchmarks", "tests")


def run(turn: Turn) -> None:
    """Run the tests that need neither DALI nor PyAV."""
    _run(turn, ["tests", *(f"--ignore={folder}" for folder in WITH_DALI)])


def run_with_dali(turn: Turn) -> None:
    """Run the tests that need them."""
    _run(turn, list(WITH_DALI))


def _run(turn: Turn, paths: Sequence[str]) -> None:
    if not installed("pytest"):
        turn.note("pytest", "not run: pytest is not installed")
    elif not (ROOT / "tests").is_dir():
        turn.note("pytest", "not run: no tests next to the package")
    else:
        turn.note("configurations", compile_few(1))
        run_tests(turn, ROOT, paths)


def run_tests(turn: Turn, root: Path, paths: Sequence[str]) -> None:
    """Run the tests marked gpu below ``root``; without a GPU they fail.

    Raises:
        SystemExit: A test failed, or pytest ran none.
    """
    import pytest

    os.chdir(root)
    os.environ["FASTROT_REQUIRE_GPU"] = "1"
    recorder = Recorder(turn)
    # With the root given, pytest reads its setup.cfg, wherever the results are.
    code = pytest.main([*ARGUMENTS, f"--rootdir={root}", *paths], plugins=[recorder])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        sys.exit(f"pytest ended with {code}")
    if recorder.failed:
        sys.exit(f"{recorder.failed} tests failed")


class Recorder:
    """A plugin of pytest that writes the planned tests and the outcome of each as rows."""

    def __init__(self, turn: Turn):
        self._turn = turn
        self.failed = 0

    def pytest_collection_modifyitems(self, items: "list[pytest.Item]") -> None:
        """Remove the tests that do not fit the time."""
        kept = []
        for item in items:
            file, _, name = item.nodeid.partition("::")
            if file != KERNEL or name in KERNEL_TESTS:
                kept.append(item)
            elif item.get_closest_marker("gpu"):
                self._turn.add("test", item.nodeid, outcome="skipped", text=NOT_RUN)
        items[:] = kept

    def pytest_collection_finish(self, session: "pytest.Session") -> None:
        """Write the names of the tests that will run, so that a kill leaves those that did not."""
        self._turn.add("test_list", "", names=[item.nodeid for item in session.items])

    def pytest_collectreport(self, report: "pytest.CollectReport") -> None:
        """Write what cannot be collected."""
        if report.failed:
            self._broken(report.nodeid, report.longreprtext)

    def pytest_runtest_logreport(self, report: "pytest.TestReport") -> None:
        """Write the outcome of a test."""
        if report.failed:
            self._broken(report.nodeid, report.longreprtext)
        elif report.skipped:
            self._turn.add("test", report.nodeid, outcome="skipped", text=report.longreprtext)
        elif report.when == "call":
            self._turn.add("test", report.nodeid, outcome="passed", text="")

    def _broken(self, name: str, text: str) -> None:
        package = missing_package(text)
        if package is not None:
            self._turn.add("test", name, outcome="skipped", text=f"{package} is not installed")
            return
        self.failed += 1
        self._turn.add("test", name, outcome="failed", text=text[-2000:])


def missing_package(text: str) -> str | None:
    """Return the package whose absence made a test fail, or None for another failure."""
    if any(f"NVIDIA DALI {what}" in text for what in ("cannot be imported", "is not installed")):
        return None if installed("nvidia.dali") else "NVIDIA DALI"
    for module in re.findall(r"No module named '([\w.]+)'", text):
        package = str(module).partition(".")[0]
        if package not in OURS and not installed(package):
            return package
    return None
