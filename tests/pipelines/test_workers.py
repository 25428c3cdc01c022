import os
import signal
import time

import pytest

from pipelines.workers import WorkerLostError, run_isolated


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
    assert str(results[1]) == "the process that worked on it crashed (SIGSEGV)"
    assert isinstance(results[3], KeyError)
    assert str(results[4]) == "it took longer than the limit of 2 s"
    assert str(results[5]) == "the process that worked on it crashed (exit code 3)"
    assert all(isinstance(results[i], WorkerLostError) for i in (1, 4, 5))


def test_nothing_to_do_starts_nothing():
    assert list(run_isolated(misbehave, [], workers=2)) == []


def test_leaving_early_leaves_no_process():
    import multiprocessing

    for _ in run_isolated(misbehave, ["a", "hang", "hang"], workers=2):
        break
    time.sleep(0.1)
    assert multiprocessing.active_children() == []
