"""The rotation kernel compiles as many configurations as it may choose among."""

import sys

import pytest

from benchmarks.acceptance.kernel_configs import compile_few


def test_without_triton_the_op_runs_in_torch(monkeypatch):
    monkeypatch.delitem(sys.modules, "fastrot.rotation.kernel", raising=False)
    monkeypatch.delattr("fastrot.rotation.kernel", raising=False)
    monkeypatch.setitem(sys.modules, "triton", None)
    assert "Triton is not installed" in compile_few(1)


def test_one_or_all_configurations_are_left():
    pytest.importorskip("triton")
    from fastrot.rotation import kernel

    every = list(kernel._launch.configs)
    try:
        assert compile_few(1) == "the rotation kernel chooses among 1 configurations"
        assert kernel._launch.configs == every[:1]
        assert compile_few(None) == f"the rotation kernel chooses among {len(every)} configurations"
        assert kernel._launch.configs == every
    finally:
        kernel._launch.configs = every
