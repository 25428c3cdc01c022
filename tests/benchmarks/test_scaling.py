import os
import time
from dataclasses import replace

import pytest
import torch

from benchmarks import scaling
from benchmarks.harness.measure import Figure, Options, Outcome
from benchmarks.harness.processes import Ended
from benchmarks.harness.sparse_store import make_sparse_store
from fastrot.config import DataConfig, ModelConfig, OptimConfig, TrainConfig, from_mapping
from fastrot.distributed.runtime import Runtime
from pipelines.errors import FastrotError


def test_processes_double_up_to_all():
    assert scaling.process_counts(1) == [1]
    assert scaling.process_counts(2) == [1, 2]
    assert scaling.process_counts(6) == [1, 2, 4, 6]
    assert scaling.process_counts(8) == [1, 2, 4, 8]


def test_figures_are_of_the_windows_after_the_first():
    windows = [
        {"step": 2, "seconds": 100.0, "clips_per_s": 1.0, "data_wait_share": 0.9},
        {"step": 4, "seconds": 101.0, "clips_per_s": 20.0, "data_wait_share": 0.1},
        {"step": 6, "seconds": 103.0, "clips_per_s": 10.0, "data_wait_share": 0.2},
        {"step": 8, "seconds": 106.0, "clips_per_s": 30.0, "data_wait_share": 0.0},
    ]
    assert scaling.figures_of(windows) == {
        "clips_per_s": 20.0,
        "ms_per_step": 1000.0,
        "data_wait_share": 0.1,
    }


def test_speedups_are_within_a_kind_and_both_end_with_all_processes():
    def outcome(kind, count, rate):
        figures = {"clips_per_s": Figure.of([rate])} if rate else {}
        return Outcome(f"{kind}, {count}", {"kind": kind, "processes": count}, figures=figures)

    found = scaling.with_speedup(
        [outcome("weak", 1, 10.0), outcome("weak", 2, 15.0), outcome("strong", 1, 12.0)]
    )
    assert [(one.name, one.facts["kind"], one.median("speedup")) for one in found] == [
        ("weak, 1", "weak", 1.0),
        ("weak, 2", "weak", 1.5),
        ("strong, 1", "strong", 1.0),
        ("strong, 2", "strong", 1.25),
    ]
    alone = scaling.with_speedup([outcome("weak", 1, None)])
    assert [one.median("speedup") for one in alone] == [None, None]


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="starts CPU processes")
def test_two_processes_train(tmp_path):
    store = make_sparse_store(tmp_path / "store", videos=8, frames=8, size=24)
    config = from_mapping({"name": "two", "out": str(tmp_path / "runs")})
    config = replace(
        config,
        data=DataConfig(store=str(store), frames=4, crop=16),
        model=ModelConfig(depth=10, width=2),
        optim=OptimConfig(lr=1e-6),
        train=TrainConfig(batch=2, iterations=2, log_every=1, checkpoint_every=0),
    )
    cores = sorted(os.sched_getaffinity(0))
    figures = scaling.launch(config, 2, cores, seconds=300)
    assert figures["clips_per_s"] > 0
    assert figures["ms_per_step"] > 0


def test_what_a_broken_run_says_is_passed_on(monkeypatch, tmp_path):
    def ended(code, errors):
        monkeypatch.setattr(scaling, "run_limited", lambda *_, **__: Ended(code, "", errors))

    config = from_mapping({"name": "broken", "out": str(tmp_path / "runs")})
    ended(1, "W1124 warning\nfastrot: error: train.batch is 3: it must divide\nmore")
    with pytest.raises(
        FastrotError, match=r"failed with exit code 1: fastrot: error: train\.batch is 3"
    ):
        scaling.launch(config, 2, [0], seconds=5)
    ended(None, "")
    with pytest.raises(FastrotError, match="did not finish within 5 s"):
        scaling.launch(config, 2, [0], seconds=5)


def test_a_launch_may_take_what_is_left_of_the_budget(monkeypatch):
    given = []

    def launch(config, count, cores, seconds):
        given.append(seconds)
        time.sleep(0.02)
        return {"clips_per_s": 1.0, "ms_per_step": 1.0, "data_wait_share": 0.0}

    monkeypatch.setattr(scaling, "launch", launch)
    monkeypatch.setattr(scaling, "_cores", lambda: [0, 1])
    cpu = Runtime(torch.device("cpu"), rank=0, world=1, threads=1, precision="fp32")
    scaling.run(Options(cpu, quick=True, shown=False), budget_s=30)
    assert len(given) == 9  # three cases, three times each
    assert all(now <= before - 0.02 for before, now in zip([30.02, *given], given, strict=False))
