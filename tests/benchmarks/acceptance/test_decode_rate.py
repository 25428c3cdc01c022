"""The rate of a pipeline, with a clock of its own."""

import time

import torch

from benchmarks.acceptance.decode_rate import batches_per_second


def test_batches_are_counted_after_those_that_are_decoded_ahead(monkeypatch):
    now, ran = [100.0], []

    class Pipeline:
        def run(self):
            ran.append(now[0])
            now[0] += 0.125

    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    assert batches_per_second(Pipeline()) == 8
    assert len(ran) == 4 + 8
