"""Outcomes of tests are rows at once, and what cannot run is told apart from what fails."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from benchmarks.acceptance import gpu_tests
from benchmarks.acceptance.findings import content_of
from benchmarks.acceptance.gpu_tests import ARGUMENTS, WITH_DALI, missing_package
from benchmarks.acceptance.parts import PARTS
from benchmarks.acceptance.rows import ROWS, Turn, read_rows
from tests.benchmarks.acceptance.bare import bare_environment

ROOT = Path(__file__).parents[3]

TESTS = """
import os
import pytest

pytestmark = pytest.mark.gpu

def test_passes():
    assert os.environ["FASTROT_REQUIRE_GPU"] == "1"

def test_fails():
    assert 1 == 2

def test_skips():
    pytest.skip("as it likes")

def test_needs():
    raise ModuleNotFoundError("No module named 'no_such_package.part'")

def test_ends_the_process():
    os._exit(7)

def test_never_runs():
    pass
"""

KERNEL = """
import pytest

pytestmark = pytest.mark.gpu

@pytest.mark.parametrize("device", ["cuda"])
@pytest.mark.parametrize("channels", [3, 8])
def test_torch_accepts_the_op_and_its_fake(channels, device):
    assert channels == 8

def test_every_configuration():
    raise AssertionError
"""

RUN = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from benchmarks.acceptance.gpu_tests import run_tests
from benchmarks.acceptance.rows import Turn
turn = Turn(Path({rows!r}), "tests", time.time() + 60)
run_tests(turn, Path({folder!r}), ["tests"], workers={workers})
"""


def run_here(tmp_path: Path, workers: int = 0, **files: str) -> tuple[int, dict]:
    """Run files of tests in a process; returns its exit code and what its rows say."""
    (tmp_path / "setup.cfg").write_text("[tool:pytest]\nmarkers =\n    gpu: needs one\n")
    for name, text in files.items():
        path = tmp_path / "tests" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    rows = tmp_path / ROWS
    code = RUN.format(root=str(ROOT), rows=str(rows), folder=str(tmp_path), workers=workers)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=None if workers else bare_environment(tmp_path),
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode, content_of(read_rows(rows))["parts"]["tests"]["tested"]


def test_every_outcome_is_kept_up_to_the_end_of_the_process(tmp_path):
    files = {
        "fastrot/rotation/test_kernel": KERNEL,
        "test_a": TESTS,
        "test_b": "import no_such_package_of_developers\n",
    }
    code, tested = run_here(tmp_path, **files)
    assert code == 7
    assert tested["counts"] == {"skipped": 5, "passed": 2, "failed": 1}
    (failure,) = tested["failures"].items()
    assert failure[0] == "tests/test_a.py::test_fails"
    assert "assert 1 == 2" in failure[1]
    reasons = {
        reason: count for reason, count in tested["skipped"].items() if "likes" not in reason
    }
    assert reasons == {
        "no_such_package is not installed": 1,
        "no_such_package_of_developers is not installed": 1,
        gpu_tests.NOT_RUN: 2,
    }
    assert tested["not_run"] == [
        "tests/test_a.py::test_ends_the_process",
        "tests/test_a.py::test_never_runs",
    ]


def test_tests_that_need_what_is_missing_are_no_failure(tmp_path):
    good = "import pytest\n@pytest.mark.gpu\ndef test_b():\n    pass\n"
    code, tested = run_here(tmp_path, test_a="import no_such_package\n", test_b=good)
    assert code == 0
    assert tested["counts"] == {"skipped": 1, "passed": 1}


SPREAD = """
import os
import pytest
from fastrot.rotation import kernel

pytestmark = pytest.mark.gpu

def test_in_another_process():
    assert os.environ["PYTEST_XDIST_WORKER"]
    assert len(kernel._launch.configs) == 1

def test_fails():
    assert 1 == 2
"""


@pytest.mark.slow
def test_processes_of_xdist_report_to_this_one(tmp_path):
    pytest.importorskip("triton")
    code, tested = run_here(tmp_path, workers=2, test_a=SPREAD, test_b=SPREAD)
    assert code == 1
    assert tested["counts"] == {"passed": 2, "failed": 2}
    assert "assert 1 == 2" in tested["failures"]["tests/test_a.py::test_fails"]
    assert tested["not_run"] == []


def test_processes_leave_two_cores(monkeypatch):
    assert [gpu_tests.workers_for(cores) for cores in (1, 2, 3, 4, 16, 64)] == [0, 0, 0, 2, 14, 14]
    monkeypatch.setattr(gpu_tests, "installed", lambda module: module != "xdist")
    assert gpu_tests.workers_for(16) == 0


def test_no_test_at_all_is_a_failure(tmp_path):
    code, _ = run_here(tmp_path, test_a="def test_unmarked():\n    pass\n")
    assert code == 1


def test_an_installed_package_has_no_tests_next_to_it(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_tests, "ROOT", tmp_path)
    turn = Turn(tmp_path / ROWS, "tests", time.time() + 60)
    gpu_tests.run(turn)
    (row,) = read_rows(turn.path)
    assert row["text"] == "not run: no tests next to the package"


def test_missing_packages_are_recognised(monkeypatch):
    here = {"nvidia.dali": False, "sklearn": False}
    monkeypatch.setattr(gpu_tests, "installed", lambda module: here.get(module, True))
    said = "fastrot.FastrotError: NVIDIA DALI cannot be imported (No module named 'nvidia'): pip"
    assert missing_package(said) == "NVIDIA DALI"
    assert missing_package("E   No module named 'sklearn.svm'") == "sklearn"
    assert missing_package("E   No module named 'fastrot.gone'") is None
    assert missing_package("assert 1 == 2 in dali.fn.crop") is None
    here["nvidia.dali"] = True
    assert missing_package(said) is None


def test_on_a_bare_machine_the_tests_of_the_first_stage_are_found(tmp_path):
    paths = ["tests", *(f"--ignore={folder}" for folder in WITH_DALI)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *ARGUMENTS, "-o", "addopts=", "--collect-only", *paths],
        cwd=ROOT,
        env=bare_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    found = [line.strip() for line in done.stdout.splitlines()]
    assert all(f"<Function {name}>" in found for name in gpu_tests.KERNEL_TESTS)
    assert "test_loader_gpu" not in done.stdout


def test_the_folders_of_the_second_stage_have_tests_of_a_gpu():
    for folder in WITH_DALI:
        files = (ROOT / folder).rglob("test_*.py")
        assert any("pytest.mark.gpu" in file.read_text() for file in files)


def test_the_tests_of_the_kernel_fit_their_part_on_a_cold_cache():
    (part,) = (part for part in PARTS if part.name == "tests")
    compiling_s = gpu_tests.COMPILATION_S * len(gpu_tests.KERNEL_TESTS)
    # The rest is for CUDA to start and for the tests of other files.
    assert compiling_s <= 2 / 3 * part.seconds
