"""torchrun brings a job back whose process was killed, and it ends as one that never was."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fastrot.config import to_yaml
from fastrot.runs.checkpoint import load_checkpoint
from tests.processes import finish


@pytest.mark.slow
def test_torchrun_restarts_a_killed_rank_and_it_ends_the_same(tiny_config):
    steps = {"iterations": 60, "checkpoint_every": 1, "log_every": 1}
    straight = tiny_config(name="straight", train=steps)
    assert finish(straight, world=2) == [0, 0]
    config = replace(straight, name="killed")
    out = Path(config.out)
    (out / "killed.yaml").write_text(to_yaml(config))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "--max-restarts", "2", "--monitor-interval", "0.2"]
    command += ["-m", "fastrot", "pretrain", str(out / "killed.yaml")]
    errors = out / "killed.err"
    job = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=errors.open("w"),
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        # One thread a process, as in the run that it is compared with.
        preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2]),
    )
    try:
        log = out / "killed" / "train.log"
        deadline = time.monotonic() + 240
        while not log.exists() or "step 5/" not in log.read_text():
            assert time.monotonic() < deadline
            assert job.poll() is None, errors.read_text()
            time.sleep(0.02)
        workers = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        of_rank = {
            int(pid): Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in workers
        }
        (victim,) = (pid for pid, values in of_rank.items() if b"RANK=1" in values)
        os.kill(victim, signal.SIGKILL)
        assert job.wait(timeout=240) == 0, errors.read_text()
    finally:
        job.kill()
        job.wait()
    assert "resuming after step" in log.read_text()
    first, second = (
        load_checkpoint(out / name / "checkpoints" / "last.pt") for name in ("straight", "killed")
    )
    assert second["step"] == 60
    assert all(torch.equal(first["model"][name], second["model"][name]) for name in first["model"])
