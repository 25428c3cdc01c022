"""The command from end to end, on sets so small that it takes seconds."""

import contextlib
import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastrot.cli import main
from fastrot.demo import videos as demo_data
from fastrot.reproduce import stores as reproduce_data

TINY = [
    "pretrain:train.iterations=5",
    "finetune:train.iterations=2",
    "train.batch=4",
    "model.width=2",
    "model.depth=10",
    "demo.unlabelled=6",
    "demo.groups=3",
    "demo.clips_per_group=1",
    "demo.frames=20",
    "demo.size=32",
    "demo.noise=3",
]


def reproduce(target, out, *args):
    return main(["reproduce", target, "--preset", "demo", "--out", str(out), *args, *TINY])


@pytest.fixture
def one_core(one_thread, monkeypatch):
    for module in (demo_data, reproduce_data):
        monkeypatch.setattr(module, "cores", lambda: 1)


@pytest.mark.slow
def test_table_2_is_made_and_found_again(one_core, tmp_path, capsys):
    out = tmp_path / "out"
    assert reproduce("table2", out, "--seeds", "1", "--rows", "scratch") == 0
    with (out / "tables" / "table2.csv").open() as file:
        assert [bool(row["ours"]) for row in csv.DictReader(file)] == 2 * [True] + 4 * [False]
    capsys.readouterr()
    assert reproduce("table2", out, "--seeds", "1") == 0
    printed = capsys.readouterr().out
    assert "Table 2: transfer to action recognition" in printed
    assert "these numbers say nothing about UCF101" in " ".join(printed.split())
    with (out / "tables" / "table2.csv").open() as file:
        rows = {(row["row"], row["column"]): row for row in csv.DictReader(file)}
    assert len(rows) == 6
    values = json.loads((out / "tables" / "table2.json").read_text())
    assert len(values["runs"]) == 2 + 3 * 2
    assert all(run["environment"]["packages"]["torch"] for run in values["runs"])
    # The table's numbers, from the measurement's own file.
    (file,) = (out / "measurements").glob(
        "action-ucf101-test1-ucf101-1-from-kinetics-*/results.json"
    )
    found = 100 * json.loads(file.read_text())["video_top1"]
    row = rows["Ours (Kinetics)", "UCF101"]
    assert float(row["ours"]) == pytest.approx(found)
    assert "difference" not in row  # generated videos are not compared with the paper
    (scratch,) = (out / "measurements").glob("action-ucf101-test1-ucf101-1-from-scratch-*/*.json")
    baseline = 100 * json.loads(scratch.read_text())["video_top1"]
    assert float(row["gain"]) == pytest.approx(found - baseline)
    assert row["gain_error_over"] == "pairs of test videos"
    (entry,) = [
        each
        for each in values["entries"]
        if (each["row"], each["column"]) == ("Ours (Kinetics)", "UCF101")
    ]
    folder = next((out / "runs").glob("ucf101-1-from-kinetics-*"))
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    last = [100 * line["accuracy"] for line in lines if "accuracy" in line][-1]
    assert entry["train_values"] == [pytest.approx(last)]
    assert {run["precision"] for run in entry["runs"]} == {"fp32"}
    assert (out / "results.md").read_text().count("these numbers say nothing about UCF101") == 1
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*/finished.json")}
    assert reproduce("table2", out, "--seeds", "1") == 0
    assert "steps/s" not in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert main(["report", str(out), "--out", str(tmp_path / "r.html")]) == 0
    assert "Table 2" in (tmp_path / "r.html").read_text()


@contextlib.contextmanager
def training_in_two_jobs(command, out):
    """Start the command, and yield its process when two of its runs are training."""
    known = {path: path.stat().st_size for path in out.glob("runs/*/metrics.jsonl")}
    with (out.parent / "printed").open("w") as printed:
        parent = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT)
    try:
        while (
            sum(
                path.stat().st_size > known.get(path, 0)
                for path in out.glob("runs/*/metrics.jsonl")
            )
            < 2
        ):
            assert parent.poll() is None, (out.parent / "printed").read_text()
            time.sleep(0.01)
        yield parent
    finally:
        parent.kill()
        parent.wait()


def states(out):
    return {path.parent: json.loads(path.read_text()) for path in out.glob("runs/*/state.json")}


def await_end(pid):
    """Wait until a process has ended, or is a zombie that nobody has collected yet."""
    stat = Path(f"/proc/{pid}/stat")
    deadline = time.monotonic() + 30
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while stat.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline, f"process {pid} is still running"
            time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_jobs_end_on_signals_and_the_same_command_resumes(tmp_path):
    out = tmp_path / "out"
    steps = ["--jobs", "2", "--seeds", "2", "--rows", "scratch"]
    steps += ["finetune:train.iterations=400", "train.log_every=1"]
    arguments = ["reproduce", "table2", "--preset", "demo", "--out", str(out), *TINY, *steps]
    command = [sys.executable, "-m", "fastrot", *arguments]
    with training_in_two_jobs(command, out) as parent:
        parent.terminate()
        assert parent.wait(120) == 75
    stopped = states(out)
    # Two of the four runs: what waits in the queue does not start after the signal.
    assert [state["state"] for state in stopped.values()] == 2 * ["preempted"]
    for folder, state in stopped.items():
        assert 0 < state["step"] < 400
        assert (folder / "checkpoints" / "last.pt").exists()
        await_end(state["pid"])
    with training_in_two_jobs(command, out) as parent:
        workers = [state["pid"] for state in states(out).values()]
        parent.kill()
        for pid in workers:
            await_end(pid)
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(out.glob("runs/*/finished.json"))) == 4
    for folder, state in stopped.items():
        assert f"resuming after step {state['step']}" in (folder / "train.log").read_text()


def test_a_dry_run_does_nothing(tmp_path, capsys):
    out = tmp_path / "out"
    assert reproduce("all", out, "--dry-run") == 0
    assert "minutes of compute" in capsys.readouterr().out
    assert not out.exists()


def test_a_dry_run_of_one_row_warns_of_small_batches(tmp_path, capsys):
    args = ["reproduce", "table2", "--preset", "paper", "--dry-run", "--out", str(tmp_path / "x")]
    assert main([*args, "--rows", "Kinetics", "--nproc", "8"]) == 0
    printed = capsys.readouterr().out
    assert "moments" not in printed
    assert "warning: 4 runs have fewer than 16 clips per process" in " ".join(printed.split())


def test_the_papers_hours_take_a_measured_rate(tmp_path, capsys):
    args = ["reproduce", "table1", "--preset", "paper", "--dry-run", "--out", str(tmp_path / "x")]
    assert main(args) == 0
    printed = capsys.readouterr().out
    assert "the speed of the GPU is unknown" in printed
    assert "GPU-hours" not in printed
    assert main([*args, "--rate", "400"]) == 0
    # two pre-trainings of 575 PFLOP at 400 TFLOP/s: 2 x 0.4 h, and little for measuring
    assert "about 0.8 GPU-hours" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--preset", "paper", "--store", "imagenet=x"], "imagenet"),
        (["--preset", "demo", "--store", "kinetics=x"], "--preset paper"),
        (["--preset", "paper", "demo.frames=3"], "--preset demo"),
        (["--preset", "demo", "train.epoch=3"], "train.epochs"),
        (["--preset", "demo", "nonsense"], "key=value"),
        (["--preset", "paper", "--rows", "ours"], "no row of table1: Kinetics; MT"),
    ],
)
def test_wrong_usage_is_named(args, message, tmp_path, capsys):
    assert main(["reproduce", "table1", "--out", str(tmp_path), *args]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("target", ["all", "pretexts"])
def test_rows_are_of_one_table(target, tmp_path, capsys):
    args = ["reproduce", target, "--preset", "paper", "--rows", "MT", "--out", str(tmp_path)]
    assert main(args) == 2
    assert f"--rows is for one table: give its name instead of {target}" in capsys.readouterr().err


def test_stores_that_are_not_there_are_named(tmp_path, capsys):
    args = ["reproduce", "table1", "--preset", "paper", "--out", str(tmp_path)]
    assert main([*args, "--store", f"kinetics={tmp_path / 'nowhere'}"]) == 1
    assert "fastrot prepare" in capsys.readouterr().err
