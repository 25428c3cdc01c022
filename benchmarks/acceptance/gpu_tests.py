"""The tests marked gpu: each outcome is a row at once.

pytest is called with none of its plugins' options, so it needs no package besides itself: see ``ARGUMENTS``.
Only if pytest-xdist is installed, the tests of the loader run in several processes.
"""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.acceptance.kernel_configs import compile_few
from benchmarks.acceptance.rows import Turn
from benchmarks.harness.packages import installed
from pipelines.cores import cores

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


MOST_WORKERS = 14
"""Processes of pytest-xdist. Each takes some GB of the GPU's memory; so many ran on an H200."""

SPREAD = "benchmarks.acceptance.one_configuration"


def run(turn: Turn) -> None:
    """Run the tests that need neither DALI nor PyAV."""
    _run(turn, ["tests", *(f"--ignore={folder}" for folder in WITH_DALI)])


def run_with_dali(turn: Turn) -> None:
    """Run the tests that need them, which wait for decoders most of the time."""
    _run(turn, list(WITH_DALI), workers=workers_for(cores()))


def workers_for(cores: int) -> int:
    """Return the number of processes for tests on so many cores; 0 is this process."""
    workers = min(cores - 2, MOST_WORKERS)
    return workers if workers > 1 and installed("xdist") else 0


def _run(turn: Turn, paths: Sequence[str], *, workers: int = 0) -> None:
    if not installed("pytest"):
        turn.note("pytest", "not run: pytest is not installed")
    elif not (ROOT / "tests").is_dir():
        turn.note("pytest", "not run: no tests next to the package")
    else:
        turn.note("configurations", compile_few(1))
        run_tests(turn, ROOT, paths, workers=workers)


def run_tests(turn: Turn, root: Path, paths: Sequence[str], *, workers: int = 0) -> None:
    """Run the tests marked gpu below ``root``; without a GPU they fail.

    Args:
        turn: The part.
        root: The checkout.
        paths: The files and folders of tests, in ``root``.
        workers: The processes of pytest-xdist; 0 is this process.

    Raises:
        SystemExit: A test failed, or pytest ran none.
    """
    import pytest

    os.chdir(root)
    os.environ["FASTROT_REQUIRE_GPU"] = "1"
    recorder = SpreadRecorder(turn) if workers else Recorder(turn)
    # With the root given, pytest reads its setup.cfg, wherever the results are.
    spread = ["-p", SPREAD, "-n", str(workers)] if workers else []
    code = pytest.main([*ARGUMENTS, f"--rootdir={root}", *spread, *paths], plugins=[recorder])
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
        self._list(item.nodeid for item in session.items)

    def _list(self, names: Iterable[str]) -> None:
        self._turn.add("test_list", "", names=list(names))

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


class SpreadRecorder(Recorder):
    """The recorder in the process that starts those of pytest-xdist, and collects nothing itself."""

    def pytest_collection_finish(self, session: "pytest.Session") -> None:
        """Do nothing."""

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Write the names that a process has collected; all collect the same."""
        self._list(ids)


def missing_package(text: str) -> str | None:
    """Return the package whose absence made a test fail, or None for another failure."""
    if any(f"NVIDIA DALI {what}" in text for what in ("cannot be imported", "is not installed")):
        return None if installed("nvidia.dali") else "NVIDIA DALI"
    for module in re.findall(r"No module named '([\w.]+)'", text):
        package = str(module).partition(".")[0]
        if package not in OURS and not installed(package):
            return package
    return None
