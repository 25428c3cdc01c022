"""Memory for raw clips is pinned if there is a GPU, and ordinary if that fails."""

import warnings

import numpy as np
import pytest
import torch

from pipelines.loading import sources
from pipelines.loading.pinned import pinned_empty
from pipelines.loading.sources import FrameReader, RawSource
from pipelines.plan import ClipSpec


def test_without_a_gpu_the_memory_is_ordinary(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        memory = pinned_empty((2, 3))
    assert (memory.shape, memory.dtype) == ((2, 3), np.uint8)


def test_with_a_gpu_torch_pins_it(monkeypatch):
    asked = []
    empty = torch.empty

    def pinning(shape, *, dtype, pin_memory):
        asked.append(pin_memory)
        return empty(shape, dtype=dtype)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "empty", pinning)
    memory = pinned_empty((4, 5))
    memory[:] = 7  # still alive without the tensor
    assert asked == [True]
    assert (memory.shape, memory.dtype, memory.sum()) == ((4, 5), np.uint8, 140)


def test_memory_that_cannot_be_pinned_is_ordinary_with_a_warning(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("CUDA error: out of memory\nCompile with ...")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "empty", refuse)
    with pytest.warns(
        UserWarning, match=r"3 MB .* pinned \(CUDA error: out of memory\).*ulimit -l"
    ):
        memory = pinned_empty((3, 1000, 1000))
    assert (memory.shape, memory.dtype) == ((3, 1000, 1000), np.uint8)


def test_raw_batches_take_turns_in_one_pinned_block(make_store, monkeypatch):
    blocks = []

    def block(shape):
        blocks.append(np.zeros(shape, np.uint8))
        return blocks[-1]

    monkeypatch.setattr(sources, "pinned_empty", block)
    frames = FrameReader(make_store("raw"), check=True)
    spec = ClipSpec(frames=3, crop=8, modality="dif")
    source = RawSource(frames, spec, batch=4, buffers=3)
    buffers = [source.buffer(4), source.buffer(2), source.buffer(4), source.buffer(4)]
    assert [one.shape[:3] for one in buffers] == [(4, 4, 8), (2, 4, 8), (4, 4, 8), (4, 4, 8)]
    assert len(blocks) == 1
    assert all(np.shares_memory(one, blocks[0]) for one in buffers)
    assert np.shares_memory(buffers[0], buffers[3])
    assert not np.shares_memory(buffers[0], buffers[1])
    assert not np.shares_memory(buffers[1], buffers[2])
