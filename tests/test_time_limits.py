"""A test that hangs fails and is named; without pytest-timeout tests run all the same."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Waits in native code for a lock that nobody releases: no signal handler of Python's gets a turn.
HANGS = """
import ctypes

def test_that_hangs():
    libc = ctypes.CDLL(None)
    lock = ctypes.create_string_buffer(256)
    libc.pthread_mutex_init(lock, None)
    libc.pthread_mutex_lock(lock)
    libc.pthread_mutex_lock(lock)
"""


def run_pytest(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("target", ["test", "test-gpu"])
def test_a_hang_under_make_names_its_test(target: str, tmp_path: Path) -> None:
    pytest.importorskip("pytest_timeout")
    planned = subprocess.run(
        ["make", "--dry-run", target, "LIMIT_S=1", "WORKERS=1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # Under make itself, this one also prints which folder it enters and leaves.
    (line,) = [line for line in planned.splitlines() if "/bin/pytest " in line]
    options = line.partition("/bin/pytest ")[2]
    file = tmp_path / "test_hangs.py"
    file.write_text(HANGS)
    words = shlex.split(options)
    done = run_pytest(*words[: words.index("-m")], str(file))
    assert done.returncode != 0
    assert "test_that_hangs" in done.stdout + done.stderr


def test_a_test_may_have_its_own_limit_without_the_plugin(tmp_path: Path) -> None:
    file = tmp_path / "test_marked.py"
    file.write_text("import pytest\n\n@pytest.mark.timeout(5)\ndef test_marked():\n    pass\n")
    done = run_pytest("-p", "no:timeout", "-c", str(ROOT / "setup.cfg"), str(file))
    assert done.returncode == 0, done.stdout
