import os
import sys
import time
from pathlib import Path

import pytest

from benchmarks.harness.processes import run_limited


def test_an_ended_program_gives_its_code_and_output(tmp_path):
    program = "import os, sys; print(os.getcwd(), os.environ['WORD']); sys.exit(3)"
    done = run_limited(
        [sys.executable, "-c", program], seconds=60, folder=tmp_path, environment={"WORD": "yes"}
    )
    assert (done.code, done.output, done.errors) == (3, f"{tmp_path} yes\n", "")


def test_at_the_limit_its_children_end_too():
    program = (
        "import subprocess, sys, time; "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        "print(child.pid, flush=True); time.sleep(600)"
    )
    done = run_limited([sys.executable, "-c", program], seconds=5)
    assert done.code is None
    child = int(done.output)
    for _ in range(100):  # killed, it may have to wait for its parent to be reaped
        if not _runs(child):
            return
        time.sleep(0.1)
    pytest.fail(f"process {child} runs on")


def _runs(pid):
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
