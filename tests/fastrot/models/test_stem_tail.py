"""BatchNorm, ReLU and pool in one op against torch's modules; on a CPU in Triton's interpreter."""

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastrot.models import resnet3d, stem_tail
from fastrot.models.batch_norm import BatchNorm
from fastrot.models.network import Network, pretext_network
from tests.afresh import load_afresh

KERNELS = "fastrot.models.stem_tail_kernel"
SHAPES = [(2, 3, 4, 5, 6), (1, 4, 1, 3, 2), (2, 2, 5, 4, 7)]


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the op run in the interpreter, also in a network."""
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    kernels = load_afresh(KERNELS)
    monkeypatch.setattr(stem_tail, "_kernels", lambda: kernels)

    def fits(x: Tensor, norm: nn.Module) -> bool:
        # In float64, convolutions on a CPU do not keep the format.
        return type(norm) is BatchNorm and stem_tail._has_kernels()

    monkeypatch.setattr(resnet3d, "tail_fits", fits)
    yield
    torch._dynamo.reset()


def plain(x: Tensor, norm: nn.BatchNorm3d) -> Tensor:
    return F.max_pool3d(norm(x).relu(), 3, stride=2, padding=1)


def noise(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    return values.to(dtype).to(memory_format=torch.channels_last_3d)


def batch_norm(channels: int) -> nn.BatchNorm3d:
    norm = BatchNorm(channels).double()
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-1, 2.5, channels))  # negative too
        norm.bias.copy_(torch.linspace(-1, 0.5, channels))  # windows without a positive value
        norm.running_mean.copy_(torch.linspace(-0.5, 0.5, channels))
        norm.running_var.copy_(torch.linspace(0.5, 2, channels))
    return norm


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_gradients_and_statistics(
    interpreted: None, shape: tuple[int, ...], training: bool
) -> None:
    found = []
    for way in (plain, stem_tail.stem_tail):
        norm = batch_norm(shape[1]).train(training)
        x = noise(shape).requires_grad_()
        out = way(x, norm)
        (out * (out.detach() + 1).cos()).sum().backward()
        found.append([out, x.grad, norm.weight.grad, norm.bias.grad, *norm.buffers()])
    assert (found[0][0] == 0).any()
    assert found[1][0].is_contiguous(memory_format=torch.channels_last_3d)
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_network_in_one_precision(interpreted: None, dtype: torch.dtype) -> None:
    # With weights in half precision the statistics stay in float32, as torch's do.
    norm = batch_norm(3).to(dtype)
    x = noise(SHAPES[0], dtype)
    got, expected = stem_tail.stem_tail(x, copy.deepcopy(norm)), plain(x.float(), norm.float())
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), expected, rtol=1e-2, atol=1e-3)


def test_nan_stays_nan(interpreted: None) -> None:
    x = torch.zeros(1, 2, 2, 4, 4, dtype=torch.float64)
    x[0, 1, 0, 0, 0] = float("nan")
    out = stem_tail.stem_tail(x, BatchNorm(2).double())
    assert not out[0, 0].any()
    assert out[0, 1].isnan().all()
    # With given statistics it stays in its windows.
    norm = BatchNorm(2).double().eval()
    x = noise((1, 2, 3, 6, 6))
    x[0, 1, 0, 3, 3] = float("nan")
    torch.testing.assert_close(stem_tail.stem_tail(x, norm), plain(x, norm), equal_nan=True)
    assert stem_tail.stem_tail(x, norm).isnan().any()


@pytest.mark.parametrize("training", [True, False])
def test_torch_accepts_the_op(interpreted: None, training: bool) -> None:
    norm = batch_norm(3)
    rows = noise((1, 3, 2, 3, 4)).permute(0, 2, 3, 4, 1).requires_grad_()
    arguments = (rows, norm.weight, norm.bias, norm.running_mean, norm.running_var, training, 1e-5)
    torch.library.opcheck(stem_tail._tail, arguments)


def network() -> Network:
    torch.manual_seed(0)
    return pretext_network(4, depth=10, width=2).double()


@pytest.mark.parametrize("frozen", [0, 1])
def test_a_network_learns_the_same(interpreted: None, frozen: int) -> None:
    ours, other = network(), network()
    other.fused_tail = False
    x = noise((2, 3, 2, 16, 14))
    for each in (ours, other):
        each.freeze(frozen)
        each(x).square().sum().backward()
    for mine, theirs in zip(ours.parameters(), other.parameters(), strict=True):
        if theirs.grad is None:
            assert mine.grad is None
        else:
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-11)
    assert ours.state_dict().keys() == other.state_dict().keys()
    for mine, theirs in zip(ours.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("part", ["bn1", "relu", "maxpool"])
def test_hooks_see_what_they_wait_for(
    interpreted: None, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    tail = stem_tail.stem_tail
    monkeypatch.setattr(
        resnet3d, "stem_tail", lambda x, norm: calls.append("fused") or tail(x, norm)
    )
    each = network().eval()
    x = noise((1, 3, 2, 8, 8))
    expected = each.stages(x)[0]
    handle = getattr(each, part).register_forward_hook(lambda *_: calls.append("hook"))
    torch.testing.assert_close(each.stages(x)[0], expected, rtol=1e-10, atol=1e-12)
    handle.remove()
    each.stages(x)
    assert calls == ["fused", "hook", "fused"]


def test_compile_sees_one_graph(interpreted: None) -> None:
    ours, other = network(), network()
    x = noise((2, 3, 2, 8, 8))
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager")
    for each in (ours, compiled):
        each(x).square().sum().backward()
    for mine, theirs in zip(ours.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-11)
    for mine, theirs in zip(ours.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


def test_where_the_op_does_not_fit() -> None:
    x = noise((2, 3, 4, 5, 6))
    assert not stem_tail.tail_fits(x, BatchNorm(3))  # on a CPU


@pytest.mark.parametrize("name", ["_forward", "_sums", "_backward"])
def test_the_kernels_compile_for_an_h100(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = pytest.importorskip("triton.compiler")
    backends = pytest.importorskip("triton.backends.compiler")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    kernel = getattr(load_afresh(KERNELS), name)
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


@pytest.mark.gpu
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_on_a_gpu(dtype: torch.dtype, training: bool) -> None:
    shape = (2, 64, 4, 15, 16)
    found = []
    for way in (plain, stem_tail.stem_tail):
        norm = batch_norm(64).float().cuda().train(training)
        x = noise(shape).to("cuda", dtype).requires_grad_()
        assert stem_tail.tail_fits(x, norm)
        out = way(x, norm)
        # Sums over channels do not depend on which of equal maxima receives the gradient.
        (grad,) = torch.autograd.grad(out.float().square().sum(), x, retain_graph=True)
        out.float().square().sum().backward()
        sums = (norm.weight.grad, norm.bias.grad, grad.float().sum(dim=(0, 2, 3, 4)))
        found.append([out.float(), *sums, *norm.buffers()])
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=0.02, atol=0.02)


@pytest.mark.gpu
def test_where_the_op_fits_on_a_gpu() -> None:
    x = noise((2, 3, 4, 5, 6)).cuda()
    norm = BatchNorm(3).cuda()
    assert stem_tail.tail_fits(x, norm)
    assert not stem_tail.tail_fits(x.contiguous(), norm)
    assert not stem_tail.tail_fits(x[:1, :, :1, :1, :1], norm)
    assert not stem_tail.tail_fits(x, nn.SyncBatchNorm(3).cuda())
    norm.momentum = None
    assert not stem_tail.tail_fits(x, norm)
