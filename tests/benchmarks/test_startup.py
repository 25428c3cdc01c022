import pytest
import torch

from benchmarks import startup
from benchmarks.harness.measure import Options
from benchmarks.harness.processes import run_alone
from benchmarks.harness.sparse_store import make_sparse_store
from fastrot.distributed.runtime import Runtime
from pipelines.prepare.workers import WorkerLostError


def test_a_store_is_opened_in_a_process_of_its_own(make_store):
    store = make_store("raw", size=40, frames=None)
    runtime = Runtime(torch.device("cpu"), 0, 1, 1, "fp32")
    options = Options(runtime, store=store.path, shown=False)
    result = startup.run(options, budget_s=600, repeats=1)
    (case,) = result.cases
    assert case.reason is None
    figures = {name: figure.median for name, figure in case.figures.items()}
    assert set(figures) == {"open_s", "first_batch_s", "open_mb", "first_batch_mb"}
    assert figures["first_batch_s"] > figures["open_s"] > 0
    # The first batch fills buffers: 32 clips of 16 frames of 40x40 and more of them in the queue.
    assert figures["first_batch_mb"] - figures["open_mb"] > 32 * 16 * 40 * 40 * 3 / 1e6


def test_memory_is_that_of_the_store_however_large_this_process_was(tmp_path):
    large = torch.ones(1_000_000_000, dtype=torch.uint8)
    del large
    runtime = Runtime(torch.device("cpu"), 0, 1, 1, "fp32")
    path = make_sparse_store(tmp_path / "store", videos=60_000, frames=16, size=32)
    options = Options(runtime, store=path, shown=False)
    (case,) = startup.run(options, budget_s=600, repeats=1).cases
    # Names of 46 characters and a few numbers of 8 bytes a video, at the very least.
    assert case.median("open_mb") > 60_000 * (46 + 4 * 8) / 1e6


def test_a_store_that_cannot_be_opened_is_a_failure(tmp_path):
    runtime = Runtime(torch.device("cpu"), 0, 1, 1, "fp32")
    options = Options(runtime, store=tmp_path, shown=False)
    (case,) = startup.run(options, budget_s=600, repeats=1).cases
    assert case.failed.startswith(f"FastrotError: {tmp_path}")


def test_a_process_that_takes_too_long_is_stopped(make_store):
    store = make_store("raw", size=40, frames=None)
    with pytest.raises(WorkerLostError, match="exceeded the time limit"):
        run_alone(startup.open_store, store.path, seconds=0.0)


def test_half_a_million_videos_start_only_where_they_fit(monkeypatch):
    opened = []

    def measured(function, path, *, seconds):
        opened.append((path.name, seconds))
        return {"open_s": 1.0}

    def made(path, *, videos):
        path.mkdir()
        return path

    monkeypatch.setattr(startup, "run_alone", measured)
    monkeypatch.setattr(startup, "make_sparse_store", made)
    runtime = Runtime(torch.device("cpu"), 0, 1, 1, "fp32")
    result = startup.run(Options(runtime, shown=False), budget_s=startup.LARGE_S - 1)
    assert {case.name: case.repeats for case in result.cases} == {
        "500,000 videos": 0,
        "100,000 videos": 3,
    }
    assert result.cases[0].not_reached
    assert [name for name, _ in opened] == ["100000"] * 3
    assert all(0 < seconds < startup.LARGE_S for _, seconds in opened)
    startup.run(Options(runtime, shown=False), budget_s=60)
    assert [name for name, _ in opened[3:6]] == ["100000", "500000", "100000"]
