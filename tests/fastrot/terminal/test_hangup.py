"""Runs whose terminal closes, or whose output nobody reads any more."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastrot.config import to_yaml
from fastrot.runs.checkpoint import load_checkpoint
from fastrot.terminal.hangup import outliving_the_terminal
from tests.processes import ranks, start

LONG = {"iterations": 100_000, "log_every": 1}


def state_of(config):
    return json.loads((Path(config.out) / config.name / "state.json").read_text())


def saved_step(config):
    folder = Path(config.out) / config.name
    step = load_checkpoint(folder / "checkpoints" / "last.pt")["step"]
    assert (
        f"interrupted after step {step}, checkpoint saved in" in (folder / "train.log").read_text()
    )
    return step


def test_a_run_whose_terminal_closes_saves_and_exits_with_75(tiny_config):
    config = tiny_config(train=LONG)
    ours, its = pty.openpty()
    run = start(config, fault=("slow", 0), terminal=os.ttyname(its))
    seen = b""
    while b"step 3/" not in seen:
        assert select.select([ours], [], [], 60)[0], (seen, run.text)
        seen += os.read(ours, 4096)
    assert b"\x1b[" in seen  # a bar was shown
    os.close(its)
    os.close(ours)
    assert run.wait() == 75
    assert saved_step(config) >= 3
    assert (state_of(config)["state"], state_of(config)["step"]) == (
        "preempted",
        saved_step(config),
    )


def test_a_hang_up_of_a_lone_process_saves(tiny_config):
    config = tiny_config(train=LONG)
    with ranks(config, world=1, faults={0: ("slow", 0)}) as (run,):
        run.await_text("did step 2\n")
        run.send(signal.SIGHUP)
        assert run.wait() == 75
        assert run.text.endswith("fastrot: preempted\n")
    assert state_of(config)["step"] == saved_step(config)


def test_a_second_quit_prints_all_stacks_and_ends_a_process_that_hangs(tiny_config):
    config = tiny_config()
    with ranks(config, world=1, faults={0: ("hang", 1)}) as (run,):
        run.await_text("hangs at step 1")  # any earlier, the run would end after its step
        for _ in range(50):
            run.send(signal.SIGQUIT)
            run.process.join(0.2)
            if not run.process.is_alive():
                break
        assert run.wait() == 131
        assert "most recent call first" in run.text
        assert " in advancing\n" in run.text  # where the main thread hangs
        assert "Thread 0x" in run.text


@pytest.mark.slow
def test_torchrun_passes_a_hang_up_on_and_the_state_says_preempted(tiny_config, tmp_path):
    config = tiny_config(train=LONG)
    (tmp_path / "run.yaml").write_text(to_yaml(config))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1"]
    output = tmp_path / "out"
    job = subprocess.Popen(
        [*command, "-m", "fastrot", "pretrain", str(tmp_path / "run.yaml")],
        stdout=output.open("w"),
        stderr=subprocess.STDOUT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    try:
        log = Path(config.out) / config.name / "train.log"
        deadline = time.monotonic() + 240
        while not log.exists() or "step 3/" not in log.read_text():
            assert time.monotonic() < deadline
            assert job.poll() is None, output.read_text()
            time.sleep(0.05)
        job.send_signal(signal.SIGHUP)
        job.wait(timeout=240)
    finally:
        job.kill()
        job.wait()
    assert (state_of(config)["state"], state_of(config)["step"]) == (
        "preempted",
        saved_step(config),
    )


PRINTING = """
import sys
from fastrot.terminal.hangup import outliving_the_terminal
with outliving_the_terminal():
    for number in range(3):
        print(number, flush=True)
        print(number, file=sys.stderr, flush=True)
        sys.stdin.readline()
print("after", flush=True)
sys.stderr.write("after")
sys.exit(75)
"""


def test_what_nobody_reads_raises_nothing_and_leaves_the_exit_code():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", PRINTING], **pipes)
    assert process.stdout.readline() == b"0\n"
    assert process.stderr.readline() == b"0\n"
    process.stdout.close()
    process.stderr.close()
    process.stdin.write(b"\n\n\n")
    process.stdin.close()
    assert process.wait(60) == 75


def test_a_full_disk_is_still_an_error():
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    code = "from fastrot.terminal.hangup import outliving_the_terminal\n"
    code += "with outliving_the_terminal():\n    print('lost', flush=True)\n"
    with Path("/dev/full").open("w") as full:
        process = subprocess.run([sys.executable, "-c", code], stdout=full, check=False)
    assert process.returncode not in (0, 75)


def test_streams_that_are_no_files_stay_and_all_are_put_back(capsys):
    before = sys.stdout, sys.stderr
    with outliving_the_terminal():
        print("seen")
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out == "seen\n"
