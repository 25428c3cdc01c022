"""Who owns a run's folder, and what its state.json contains, whatever ends the run."""

import errno
import fcntl
import json
import multiprocessing
import os
import signal
import socket
from datetime import datetime
from pathlib import Path

import pytest

from fastrot.report.sections import run_section
from fastrot.runs import run_state
from fastrot.runs.run_state import LOCK, Ownership, read_state
from fastrot.training.run import train
from pipelines.errors import FastrotError, UsageError
from tests.processes import finish, ranks

KEYS = ["state", "host", "pid", "job", "restarts", "step", "reason", "time"]


def state_of(config):
    return json.loads((Path(config.out) / config.name / "state.json").read_text())


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(run_state, "_PAUSE_S", 0.0)


def test_a_state_has_exactly_these_keys(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    owner = Ownership.claim(tmp_path / "run")
    owner.write("preempted", 7, "a signal")
    owner.release()
    found = json.loads((tmp_path / "run" / "state.json").read_text())
    assert list(found) == KEYS
    assert datetime.fromisoformat(found.pop("time")).tzinfo is not None
    assert found == {
        "state": "preempted",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "job": "4711",
        "restarts": 2,
        "step": 7,
        "reason": "a signal",
    }


def test_outside_slurm_there_is_no_job_and_no_restart(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    owner = Ownership.claim(tmp_path)
    owner.write("running", 0)
    found = read_state(tmp_path)
    owner.release()
    assert found is not None
    assert (found["state"], found["job"], found["restarts"], found["reason"]) == (
        "running",
        None,
        0,
        None,
    )


def test_a_second_owner_is_refused_with_the_first_ones_name(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    owner = Ownership.claim(tmp_path)
    name = rf"in use by process {os.getpid()} on {socket.gethostname()}, Slurm job 4711"
    with pytest.raises(FastrotError, match=name):
        Ownership.claim(tmp_path)
    owner.release()
    Ownership.claim(tmp_path).release()


def _die_as_owner(folder):
    Ownership.claim(folder).write("running", 3)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_dead_owners_lock_does_not_stay_and_its_run_counts_as_killed(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=_die_as_owner, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    found = read_state(tmp_path)
    assert found is not None
    assert (found["state"], found["step"]) == ("killed", 3)
    Ownership.claim(tmp_path).release()


def test_where_nothing_began_nothing_stays(tmp_path):
    (tmp_path / "there").mkdir()
    for folder in (tmp_path / "out" / "run", tmp_path / "there"):
        Ownership.claim(folder).release()
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert not list((tmp_path / "there").iterdir())


def test_without_locks_a_living_process_of_this_machine_is_refused(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    owner = Ownership.claim(tmp_path)
    assert "does not support locks" in owner.note
    owner.write("running", 1)
    other = {**json.loads((tmp_path / "state.json").read_text()), "pid": os.getppid()}
    (tmp_path / "state.json").write_text(json.dumps(other))
    with pytest.raises(FastrotError, match=f"in use by process {os.getppid()} on this machine"):
        Ownership.claim(tmp_path)
    for change in ({"pid": 2**22 + 1}, {"host": "another"}, {"state": "done"}):
        (tmp_path / "state.json").write_text(json.dumps({**other, **change}))
        Ownership.claim(tmp_path).release()


def test_what_is_no_state_is_none(tmp_path):
    assert read_state(tmp_path) is None
    for text in ("", "[]", "{}", '{"state'):
        (tmp_path / "state.json").write_text(text)
        assert read_state(tmp_path) is None


def test_a_finished_run_is_done_also_when_it_is_resumed(tiny_config, monkeypatch):
    config = tiny_config(train={"iterations": 2})
    train(config, quiet=True)
    assert (state_of(config)["state"], state_of(config)["step"]) == ("done", 2)
    monkeypatch.setenv("SLURM_JOB_ID", "4712")
    train(config, resume=True, quiet=True)
    found = state_of(config)
    assert (found["state"], found["step"], found["job"]) == ("done", 2, "4712")


def test_a_failure_is_written_with_its_reason_and_a_refusal_is_not(tiny_config, monkeypatch):
    config = tiny_config(train={"checkpoint_every": 2}, optim={"lr": 1e6})
    with pytest.raises(FastrotError, match="not finite"):
        train(config, quiet=True)
    found = state_of(config)
    assert found["state"] == "failed"
    assert "the loss was not finite at step" in found["reason"]
    with pytest.raises(UsageError, match="already exists"):
        train(config, quiet=True)
    assert state_of(config) == found


def test_a_run_that_runs_is_refused_to_others_and_resumed_when_killed(tiny_config):
    config = tiny_config(train={"iterations": 400, "checkpoint_every": 1})
    with ranks(config, world=1, faults={0: ("slow", 0)}) as (run,):
        run.await_text("did step 2\n")
        found = state_of(config)
        assert (found["state"], found["pid"]) == ("running", run.process.pid)
        with pytest.raises(FastrotError, match=f"in use by process {run.process.pid} on "):
            train(config, resume=True, quiet=True)
        run.send(signal.SIGKILL)
        run.wait()
    folder = Path(config.out) / config.name
    killed = read_state(folder)
    assert killed is not None
    assert killed["state"] == "killed"
    assert f"State: killed, last checkpoint at step {killed['step']}" in run_section(folder)
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").open()]
    assert steps == list(range(1, len(steps) + 1))
    assert (folder / LOCK).exists()


def test_the_first_process_alone_owns_the_folder(tiny_config):
    config = tiny_config(train={"iterations": 2})
    assert finish(config, world=2) == [0, 0]
    assert state_of(config)["state"] == "done"
