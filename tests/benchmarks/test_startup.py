import torch

from benchmarks import startup
from benchmarks.method import Options
from fastrot.runtime import Runtime


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
    assert 0 <= figures["open_mb"] <= figures["first_batch_mb"]


def test_a_process_that_dies_is_a_failure(tmp_path):
    runtime = Runtime(torch.device("cpu"), 0, 1, 1, "fp32")
    options = Options(runtime, store=tmp_path, shown=False)
    (case,) = startup.run(options, budget_s=600, repeats=1).cases
    assert case.failed == "RuntimeError: the process ended with exit code 1"
