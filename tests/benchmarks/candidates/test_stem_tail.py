"""The stem's tail in Triton's interpreter against BatchNorm, ReLU and max-pool, in float64."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def load() -> ModuleType:
    """Run the module afresh, so that it reads TRITON_INTERPRET now."""
    spec = importlib.util.find_spec("benchmarks.candidates.stem_tail")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    return load()


def tail(x: Tensor, norm: nn.BatchNorm3d) -> Tensor:
    return F.max_pool3d(norm(x).relu(), 3, stride=2, padding=1)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5, 6), (1, 4, 1, 3, 2), (2, 2, 5, 4, 7)])
def test_values_gradients_and_statistics(interpreted: ModuleType, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    found = []
    for ours in (False, True):
        norm = nn.BatchNorm3d(shape[1]).double()
        with torch.no_grad():
            norm.weight.copy_(torch.linspace(-1, 2.5, shape[1]))  # negative too
            norm.bias.copy_(torch.linspace(-1, 0.5, shape[1]))  # windows without a positive value
        x = values.to(memory_format=torch.channels_last_3d).requires_grad_()
        out = interpreted.stem_tail(x, norm) if ours else tail(x, norm)
        (out * (out.detach() + 1).cos()).sum().backward()
        found.append([out, x.grad, norm.weight.grad, norm.bias.grad, *norm.buffers()])
    assert (found[0][0] == 0).any()
    assert found[1][0].is_contiguous(memory_format=torch.channels_last_3d)
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


def test_nan_stays_nan(interpreted: ModuleType) -> None:
    x = torch.zeros(1, 2, 2, 4, 4, dtype=torch.float64)
    x[0, 1, 0, 0, 0] = float("nan")
    out = interpreted.stem_tail(x, nn.BatchNorm3d(2).double())
    assert not out[0, 0].any()
    assert out[0, 1].isnan().all()


@pytest.mark.parametrize("name", ["_forward", "_sums", "_backward"])
def test_the_kernels_compile_for_an_h100(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = pytest.importorskip("triton.compiler")
    backends = pytest.importorskip("triton.backends.compiler")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    kernel = getattr(load(), name)
    constants = {"block": 16, "lanes": 64}
    pointers = {"x": "*bf16", "pooled": "*bf16", "grad": "*bf16", "x_grad": "*bf16"}
    pointers |= {"places": "*u8"}
    pointers |= dict.fromkeys(
        ("weight", "bias", "mean", "scale", "parts", "bias_mean", "weight_mean"), "*fp32"
    )
    types = {
        argument: "constexpr" if argument in constants else pointers.get(argument, "i32")
        for argument in kernel.arg_names
    }
    source = compiler.ASTSource(
        kernel,
        types,
        constexprs={(kernel.arg_names.index(key),): value for key, value in constants.items()},
        attrs={
            (at,): [["tt.divisibility", 16]]
            for at, argument in enumerate(kernel.arg_names)
            if argument in pointers or argument == "c"
        },
    )
    compiled = compiler.compile(source, target=backends.GPUTarget("cuda", 90, 32))
    # A thread has 8 neighbouring channels: 16 bytes of half precision.
    assert "ld.global.v4.b32" in compiled.asm["ptx"]
