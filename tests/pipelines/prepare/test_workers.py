import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from pipelines.prepare.workers import WorkerLostError, run_isolated


def misbehave(item):
    """Do what a decoder might do to a worker."""
    match item:
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            os._exit(3)
        case "hang":
            time.sleep(60)
        case "raise":
            raise KeyError("the key")
    return item * 2


@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_gives_its_result_whatever_befalls_the_others(workers):
    items = ["a", "crash", "b", "raise", "hang", "exit", "c", "d"]
    results = dict(run_isolated(misbehave, items, workers=workers, time_limit=2))
    assert sorted(results) == list(range(8))
    for good in (0, 2, 6, 7):
        assert results[good] == items[good] * 2
    assert str(results[1]) == "the worker process crashed (SIGSEGV)"
    assert isinstance(results[3], KeyError)
    assert str(results[4]) == "exceeded the time limit of 2 s"
    assert str(results[5]) == "the worker process crashed (exit code 3)"
    assert all(isinstance(results[i], WorkerLostError) for i in (1, 4, 5))


def test_nothing_to_do_starts_nothing():
    assert list(run_isolated(misbehave, [], workers=2)) == []


def test_leaving_early_leaves_no_process():
    for _ in run_isolated(misbehave, ["a", "hang", "hang"], workers=2):
        break
    time.sleep(0.1)
    assert multiprocessing.active_children() == []


def note_pid_and_hang(file):
    """Show which process works, for ever."""
    file.write_text(str(os.getpid()))
    time.sleep(600)


def run_hanging(file):
    list(run_isolated(note_pid_and_hang, [file], workers=1))


def test_a_worker_dies_with_its_parent_in_the_middle_of_its_work(tmp_path):
    file = tmp_path / "pid"
    parent = multiprocessing.get_context("spawn").Process(target=run_hanging, args=(file,))
    parent.start()
    while not (file.exists() and file.read_text()):
        assert parent.is_alive()
        time.sleep(0.01)
    worker = int(file.read_text())
    try:
        parent.kill()
        parent.join()
        for _ in range(6000):
            if not alive(worker):
                return
            time.sleep(0.01)
        pytest.fail("the worker is still running")
    finally:
        if alive(worker):
            os.kill(worker, signal.SIGKILL)


def alive(pid):
    """Whether a process runs; one that ended and that nobody waited for does not."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return "State:\tZ" not in status
