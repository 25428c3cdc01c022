"""Several processes that load from one store at the same time."""

import dataclasses

import pytest

from benchmarks.harness.measure import NotHere, Options
from benchmarks.loading import node_loading
from benchmarks.loading.node_loading import Work, measure
from fastrot.distributed.runtime import Runtime
from pipelines.errors import FastrotError
from pipelines.plan import ClipSpec


@pytest.fixture
def work(make_store):
    return Work(make_store("raw").path, ClipSpec(4, crop=32), 2, 0.05, "cpu", 1)


@pytest.mark.slow
def test_the_rate_is_the_sum_over_the_processes(work):
    found = measure(work, 2)
    assert 0 < found["slowest_process_clips_per_s"] <= found["clips_per_s"] / 2


def test_videos_that_are_too_short_are_no_failure(work):
    long = dataclasses.replace(work, spec=ClipSpec(4000, crop=32))
    with pytest.raises(NotHere, match="no video has at least 4000 frames"):
        measure(long, 1)


def test_one_process_that_fails_ends_the_measurement_with_its_reason(work):
    large = dataclasses.replace(work, spec=ClipSpec(4, crop=4000))
    with pytest.raises(FastrotError, match="crop is 4000"):
        measure(large, 1)


def test_one_and_many_are_cases_of_each_codec(make_store, monkeypatch):
    asked = []
    monkeypatch.setattr(
        node_loading,
        "measure",
        lambda work, count: asked.append(count) or {"clips_per_s": 100.0 + 50 * (count > 1)},
    )
    with Runtime.start("fp32") as runtime:
        options = Options(runtime, store=make_store("raw").path, quick=True, shown=False)
        result = node_loading.run(options, processes=8, budget_s=60)
    assert [case.name for case in result.cases] == ["1 process, raw", "8 processes, raw"]
    assert asked == [1, 8]
    assert result.settings["processes"] == 8
    (ratio,) = result.ratios
    assert ratio.name == "raw: 8 processes over one"
    assert ratio.value == pytest.approx(1.5)
