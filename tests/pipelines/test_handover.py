"""Clips from DALI to torch: the same memory, held for as long as the GPU reads it."""

import gc
import weakref

import numpy as np
import pytest
import torch

from pipelines.handover import Handover


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
    """Stands for a GPU whose events pass when the test says so, and for DALI's batches on it."""

    def __init__(self, monkeypatch):
        gpu = self
        self.passed = 0
        self.recorded = 0
        self.memory = []

        class Event:
            def record(self, stream):
                gpu.recorded += 1
                self.number = gpu.recorded

            def query(self):
                return self.number <= gpu.passed

        monkeypatch.setattr(torch.cuda, "Event", Event)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
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
