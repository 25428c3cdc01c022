"""The two ways of each candidate give the same."""

import importlib.util
import sys

import pytest
import torch

from benchmarks.candidates.pairs import CANDIDATES, Sizes


@pytest.mark.parametrize("name", CANDIDATES)
def test_both_ways_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    tail = "benchmarks.candidates.stem_tail"
    spec = importlib.util.find_spec(tail)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, tail, module)
    pair = CANDIDATES[name](Sizes(1, 2, 8, torch.device("cpu"), torch.float64))
    found, expected = pair.candidate(), pair.plain()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    weights = torch.linspace(-1, 1, expected.numel(), dtype=torch.float64).view_as(expected)
    gradients = (torch.autograd.grad(way, pair.inputs, weights) for way in (found, expected))
    for got, right in zip(*gradients, strict=True):
        assert right.any()
        torch.testing.assert_close(got, right, rtol=1e-8, atol=1e-8)


@pytest.mark.gpu
@pytest.mark.parametrize("name", CANDIDATES)
def test_both_ways_agree_on_a_gpu(name: str) -> None:
    pair = CANDIDATES[name](Sizes(2, 4, 32, torch.device("cuda"), torch.bfloat16))
    found, expected = pair.candidate(), pair.plain()
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)
    torch.autograd.grad(found.sum(), pair.inputs)
