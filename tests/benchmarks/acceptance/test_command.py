"""The acceptance keeps what it has, whatever happens to a part, to a package or to itself."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks.acceptance import command
from benchmarks.acceptance.parts import MACHINE, PARTS, budget_of, limit_of
from benchmarks.acceptance.rows import ROWS, add_row, read_rows
from tests.benchmarks.acceptance.bare import bare_environment

ROOT = Path(__file__).parents[3]

FAKES = f"""
import os, signal, sys, time, types
from pathlib import Path

sys.path.insert(0, {str(ROOT)!r})
from benchmarks.acceptance import command
from benchmarks.acceptance.parts import MACHINE, Part

fakes = types.ModuleType("benchmarks.acceptance.fakes")

def machine(turn):
    turn.add("environment", "", environment={{"device": "a fake"}}, gpu=True)

def compiles(turn):
    turn.figures("before the compiler", clips_per_s=6.0)
    (turn.path.parent / "process").write_text(str(os.getpid()))
    time.sleep(600)

def crashes(turn):
    turn.figures("before the crash", clips_per_s=7.0)
    os.kill(os.getpid(), signal.SIGKILL)

def raises(turn):
    turn.figures("before the error", clips_per_s=8.0)
    raise MemoryError("no memory is left")

def works(turn):
    turn.figures("works", clips_per_s=9.0)

functions = (machine, compiles, crashes, raises, works)
for function in functions:
    setattr(fakes, function.__name__, function)
sys.modules[fakes.__name__] = fakes
SECONDS = {{"machine": 20, "compiles": 3}}
command.PARTS = tuple(
    Part(f.__name__, int(f is not machine), SECONDS.get(f.__name__, 20), f"fakes.{{f.__name__}}")
    for f in functions
)
command.SCRIPT = Path(__file__)
sys.exit(command.main())
"""


@pytest.fixture
def fakes(tmp_path):
    script = tmp_path / "fakes.py"
    script.write_text(FAKES)
    return [sys.executable, str(script), "--out", str(tmp_path / "out")]


def found(tmp_path):
    return json.loads((tmp_path / "out" / "acceptance.json").read_text())


def figure_of(content, part):
    (case,) = content["parts"][part]["cases"].values()
    return case["figures"]["clips_per_s"]["median"]


@pytest.mark.slow
def test_a_part_that_hangs_crashes_or_fails_is_a_row_and_keeps_its_figures(fakes, tmp_path):
    done = subprocess.run(
        [*fakes, "--budget", "83"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1, done.stderr
    content = found(tmp_path)
    parts = content["parts"]
    statuses = {name: part["status"] for name, part in parts.items()}
    assert statuses == {
        "machine": "done",
        "compiles": "stopped",
        "crashes": "killed",
        "raises": "failed",
        "works": "done",
    }
    assert "not done after" in parts["compiles"]["error"]
    assert parts["compiles"]["took_s"] < 30
    assert "by signal 9" in parts["crashes"]["error"]
    assert "MemoryError: no memory is left" in parts["raises"]["error"]
    figures = [figure_of(content, part) for part in ("compiles", "crashes", "raises", "works")]
    assert figures == [6, 7, 8, 9]
    page = (tmp_path / "out" / "acceptance.txt").read_text()
    assert page.strip() in done.stdout
    assert "MemoryError: no memory is left" in page


@pytest.mark.slow
def test_after_a_kill_of_the_program_its_part_ends_and_its_rows_make_the_report(fakes, tmp_path):
    process = subprocess.Popen(fakes, stdout=subprocess.DEVNULL)
    file = tmp_path / "out" / "process"
    wait_until(lambda: file.exists() and file.read_text() != "")
    part = int(file.read_text())
    process.kill()
    process.wait()
    wait_until(lambda: not alive(part))
    done = subprocess.run([*fakes, "--report"], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    content = found(tmp_path)
    assert content["environment"] == {"device": "a fake"}
    assert content["parts"]["machine"]["status"] == "done"
    assert content["parts"]["compiles"]["status"] == "stopped"
    assert figure_of(content, "compiles") == 6
    assert "before the compiler" in done.stdout


def wait_until(condition):
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def alive(process):
    """Return whether a process runs. Nobody may be there to read an orphan's end: it then stays a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="tests what happens without a GPU")
def test_a_bare_machine_reports_what_is_missing(tmp_path):
    # From another folder, as a file.
    script = Path(command.__file__).with_name("__main__.py")
    done = subprocess.run(
        [sys.executable, str(script), "--out", str(tmp_path / "out")],
        cwd=tmp_path,
        env=bare_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    content = found(tmp_path)
    assert content["environment"]["packages"]["torch"] == torch.__version__
    statuses = {part.name: content["parts"][part.name]["status"] for part in PARTS}
    assert statuses.pop(MACHINE) == "done"
    lacks = ["NVIDIA DALI", "PyAV", "Pillow"]
    for part in PARTS[1:]:
        wanted = f"not installed: {', '.join(lacks[: len(part.needs)])}" if part.needs else "no GPU"
        assert statuses[part.name] == wanted
    page = (tmp_path / "out" / "acceptance.txt").read_text()
    assert "- jpeg: not installed: NVIDIA DALI\n" in page
    assert "- h264: not installed: NVIDIA DALI, PyAV\n" in page
    assert "- profile: no GPU" in page


@pytest.mark.parametrize(("stage", "minutes"), [(1, 6.5), (2, 6), (None, 12)])
def test_the_limits_add_up(stage, minutes):
    """A stage fits a loan of ten minutes; the page gives the sum."""
    parts = command.chosen(stage, None)
    budget_s = budget_of(parts)
    assert 60 * (minutes - 0.5) < budget_s <= 60 * minutes
    left, used = budget_s, 0.0
    for place, part in enumerate(parts):
        limit = limit_of(part, left, parts[place:])
        assert limit == pytest.approx(part.seconds)  # if every part takes all its time
        left, used = left - limit, used + limit
    assert used == pytest.approx(budget_s)
    # What a part leaves goes to those after it.
    assert limit_of(PARTS[-1], 100.0, PARTS[-1:]) == 100


def test_what_decides_first_comes_first():
    names = [part.name for part in PARTS]
    first = [MACHINE, "profile", "limits", "rotation", "step", "candidates", "jpeg", "real data"]
    assert names[: len(first)] == first
    assert names[-1] == "compiled"  # which takes the most time for the least
    assert all(part.seconds >= 10 for part in PARTS)


EVERY = [part.name for part in PARTS]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], EVERY),
        (["--stage", "1"], [part.name for part in PARTS if part.stage < 2]),
        (["--stage", "2"], [part.name for part in PARTS if part.stage != 1]),
        (["--only", "loader"], [MACHINE, "loader"]),
        (["--only", "loader", "--only", "step"], [MACHINE, "step", "loader"]),
    ],
)
def test_parts_that_are_asked_for(arguments, names, monkeypatch, tmp_path):
    ran = []

    def run_parts(parts, out, budget_s, **_):
        assert budget_s == sum(part.seconds for part in parts)
        ran.extend(part.name for part in parts)

    monkeypatch.setattr(command, "run_parts", run_parts)
    assert command.main([*arguments, "--out", str(tmp_path)]) == 0
    assert ran == names


def test_what_a_machine_lacks_stops_its_parts_only(monkeypatch, tmp_path):
    packages = {"nvidia.dali": True, "av": True, "PIL": False}
    monkeypatch.setattr(command, "installed", packages.__getitem__)
    named = {part.name: part for part in PARTS}
    profile, jpeg, h264, real_data = map(named.get, ("profile", "jpeg", "h264", "real data"))
    # Without an answer of the machine's part, the others try.
    assert command.why_not(profile, tmp_path) is None
    add_row(tmp_path / ROWS, MACHINE, "environment", environment={}, gpu=False)
    assert command.why_not(PARTS[0], tmp_path) is None
    assert command.why_not(profile, tmp_path) == command.why_not(jpeg, tmp_path) == "no GPU"
    assert command.why_not(profile, tmp_path, quick=True) is None
    assert command.why_not(real_data, tmp_path, quick=True) == "not installed: Pillow"
    packages["av"] = False
    assert command.why_not(h264, tmp_path, quick=True) == "not installed: PyAV"
    assert command.why_not(jpeg, tmp_path, quick=True) is None
    packages["nvidia.dali"] = False
    assert command.why_not(jpeg, tmp_path, quick=True) == "not installed: NVIDIA DALI"


def test_an_interrupt_leaves_the_report(monkeypatch, tmp_path):
    def interrupted(part, seconds, out, *, quick):
        add_row(out / ROWS, part.name, "began", limit_s=seconds)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)

    monkeypatch.setattr(command, "run_part", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            command.main(["--out", str(tmp_path)])
    finally:
        signal.signal(signal.SIGINT, before)
    assert "machine: stopped" in (tmp_path / "acceptance.txt").read_text()
    assert len(read_rows(tmp_path / ROWS)) == 1


def test_the_program_itself_needs_no_torch():
    code = "import sys; sys.modules['torch'] = None; import benchmarks.acceptance.command"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
