import mmap
import multiprocessing
from contextlib import contextmanager

import pytest
import torch

from benchmarks.harness.resident import measure_memory, peak_mb, resident_now_mb, watch_loader
from pipelines.plan import ClipSpec


def watch(sizes, *, clips=80, budget_s=60.0):
    given = iter(sizes)

    @contextmanager
    def make():
        yield (torch.zeros(4) for _ in range(1000))

    return measure_memory(make, clips=clips, budget_s=budget_s, resident_mb=lambda: next(given))


def test_growth_counts_from_the_first_tenth_on():
    # 20 batches of 4 clips; the first two are the pools' growth, the last the process's.
    found = watch([100, 500, *[510] * 17, 513])
    assert found == {"watched_clips": 80, "resident_mb": 513, "growth_mb": 3}


def test_a_peak_in_between_counts_too():
    assert watch([500] * 10 + [900] + [500] * 9)["growth_mb"] == 400


def test_the_budget_ends_it_and_the_count_says_so():
    assert watch([1.0] * 20, budget_s=0)["watched_clips"] == 4


def test_the_resident_size_follows_what_is_allocated():
    before = resident_now_mb()
    # Straight from the system: an allocator may have as much at hand from what earlier tests freed.
    with mmap.mmap(-1, 40_000_000) as memory:
        for _ in range(40):
            memory.write(b"1" * 1_000_000)
        assert resident_now_mb() - before == pytest.approx(40, abs=8)


def test_a_loader_is_watched_in_a_process_without_this_ones_memory(make_store):
    store = make_store("raw")
    held = torch.ones(1_500_000_000, dtype=torch.uint8)
    found = watch_loader(
        store.path, store.select("all"), ClipSpec(3, crop=31), batch=4, clips=40, budget_s=60
    )
    assert found["watched_clips"] == 40
    assert 100 < found["resident_mb"] < held.numel() / 1e6


def growth_of_the_peak(answer, megabytes):
    before = peak_mb()
    torch.ones(megabytes * 1_000_000, dtype=torch.uint8)
    answer.send(peak_mb() - before)


def test_the_peak_of_a_process_is_its_own_and_not_that_of_the_one_which_started_it():
    large = torch.ones(900_000_000, dtype=torch.uint8)
    assert peak_mb() > large.numel() / 1e6
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=growth_of_the_peak, args=(theirs, 120))
    process.start()
    assert ours.recv() == pytest.approx(120, abs=15)
    process.join()
