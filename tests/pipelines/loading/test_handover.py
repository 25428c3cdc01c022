"""Clips from DALI to torch: the same memory, held for as long as the GPU reads it."""

import gc
import types
import weakref

import numpy as np
import pytest
import torch

from pipelines.loading.handover import Handover
from pipelines.loading.loader import Loader
from pipelines.loading.unprepared import ReaderLoader


def test_torch_reads_the_memory_that_dali_wrote():
    dali = pytest.importorskip("nvidia.dali")

    @dali.pipeline_def(batch_size=3, num_threads=1, device_id=None)
    def clips():
        return dali.fn.random.uniform(range=[0, 1], shape=[4, 5])

    pipeline = clips()
    pipeline.build()
    (output,) = pipeline.run()
    tensor = Handover(torch.device("cpu")).take(output)
    assert tensor.shape == (3, 4, 5)
    assert tensor.data_ptr() == output[0].data_ptr()
    np.testing.assert_array_equal(tensor, np.stack([np.asarray(each) for each in output]))


class Gpu:
    """Replaces a GPU, whose events pass when the test decides, and DALI's batches on it."""

    def __init__(self, monkeypatch):
        gpu = self
        self.passed = 0
        self.recorded = 0
        self.memory = []
        self.held_at_wait = None

        class Event:
            def record(self, stream):
                gpu.recorded += 1
                self.number = gpu.recorded

            def query(self):
                return self.number <= gpu.passed

        monkeypatch.setattr(torch.cuda, "Event", Event)

        class Stream:
            def synchronize(self):
                gpu.held_at_wait = gpu.held
                gpu.passed = gpu.recorded + 1

        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
        self.handover = Handover(torch.device("cuda", 0))

    def as_tensor(self):
        array = np.zeros(3)
        self.memory.append(weakref.ref(array))
        return array

    def take(self):
        """Take a batch and drop it at once, as a training step does whose kernels are still queued."""
        self.handover.take(self)

    @property
    def held(self):
        gc.collect()
        return [number for number, memory in enumerate(self.memory) if memory() is not None]


def test_a_batch_is_held_until_the_work_on_it_has_passed(monkeypatch):
    gpu = Gpu(monkeypatch)
    for _ in range(3):
        gpu.take()
    assert gpu.held == [0, 1, 2]
    gpu.passed = 1  # the first step is done
    gpu.take()
    assert gpu.held == [1, 2, 3]
    gpu.passed = 3
    gpu.take()
    assert gpu.held == [3, 4]


def test_at_its_end_it_waits_for_the_gpu_and_then_lets_go_of_all(monkeypatch):
    gpu = Gpu(monkeypatch)
    for _ in range(2):
        gpu.take()
    gpu.handover.close()
    assert gpu.held_at_wait == [0, 1]
    assert gpu.held == []
    gpu.held_at_wait = None
    gpu.handover.close()  # nothing to wait for
    assert gpu.held_at_wait is None
    gpu.take()  # a rebuilt loader continues
    assert gpu.held == [2]


@pytest.mark.parametrize("loader", [Loader, ReaderLoader])
def test_loaders_let_go_of_batches_before_dalis_pipeline(loader):
    order = []
    other = types.SimpleNamespace

    class Closing(loader):  # type: ignore[valid-type]
        def __init__(self):
            self._handover = other(close=lambda: order.append(("handover", self._pipeline)))  # type: ignore[has-type]
            self._reader = other(close=lambda: None)
            self._pipeline = "pipeline"
            self._finishers = None

    closing = Closing()
    closing.close()
    assert order == [("handover", "pipeline")]
    assert closing._pipeline is None


def test_on_a_cpu_nothing_is_held():
    class Output:
        array = np.zeros(3)

        def as_tensor(self):
            return self.array

    address, gone = Output.array.ctypes.data, weakref.ref(Output.array)
    handover = Handover(torch.device("cpu"))
    assert handover.take(Output()).data_ptr() == address
    del Output.array
    gc.collect()
    assert gone() is None
