"""BatchNorm of clips as pictures against ``nn.BatchNorm3d``."""

import copy

import pytest
import torch
from torch import Tensor, nn

from fastrot.models.batch_norm import BatchNorm
from fastrot.models.network import pretext_network

CLIPS = [(2, 3, 4, 5, 6), (3, 2, 1, 7, 1), (2, 1, 3, 2, 2)]
ONE_VALUE = (1, 4, 1, 1, 1)  # which has no variance to train on


def clips(shape: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(shape, generator=generator, dtype=torch.float64) * 3 + 1
    return values.to(memory_format=torch.channels_last_3d)


def pair(channels: int) -> tuple[nn.BatchNorm3d, BatchNorm]:
    plain = nn.BatchNorm3d(channels).double()
    with torch.no_grad():
        plain.weight.uniform_(0.5, 2)
        plain.bias.normal_()
        plain.running_mean.normal_()
        plain.running_var.uniform_(0.5, 2)
    ours = BatchNorm(channels).double()
    ours.load_state_dict(plain.state_dict())
    return plain, ours


@pytest.mark.parametrize(
    ("shape", "training"),
    [*((shape, training) for shape in CLIPS for training in (True, False)), (ONE_VALUE, False)],
)
def test_values_gradients_and_statistics_are_batch_norms(
    shape: tuple[int, ...], training: bool
) -> None:
    plain, ours = pair(shape[1])
    found = []
    for module, forward in (
        (plain.train(training), plain),
        (ours.train(training), ours.as_pictures),
    ):
        x = clips(shape).requires_grad_()
        out = forward(x)
        assert out.is_contiguous(memory_format=torch.channels_last_3d)
        (out.sin() * clips(shape).cos()).sum().backward()
        found.append([out, x.grad, module.weight.grad, module.bias.grad, *module.buffers()])
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_a_change_in_place_costs_no_copy_of_the_gradient() -> None:
    _, ours = pair(3)
    out = ours.as_pictures(clips((2, 3, 4, 5, 6)).requires_grad_())
    assert not out._is_view()
    assert type(out.relu_().grad_fn).__name__ == "ReluBackward0"


def test_a_whole_network_learns_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = pretext_network(4, depth=10, width=2, shortcut="B").double()
    nn.utils.convert_conv3d_weight_memory_format(network, torch.channels_last_3d)
    other = copy.deepcopy(network)
    x = clips((3, 3, 4, 24, 24))
    network(x).square().sum().backward()
    calls: list[BatchNorm] = []

    def as_pictures(self: BatchNorm, x: Tensor) -> Tensor:
        calls.append(self)
        # In float64, convolutions on a CPU do not keep the format.
        return self.as_pictures(x.contiguous(memory_format=torch.channels_last_3d))

    monkeypatch.setattr(BatchNorm, "forward", as_pictures)
    other(x).square().sum().backward()
    assert len(calls) == 12
    for expected, got in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(got.grad, expected.grad, rtol=1e-9, atol=1e-11)
    for expected, got in zip(network.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


def test_on_a_cpu_it_is_batch_norm_to_the_bit() -> None:
    plain, ours = pair(3)
    x = clips((2, 3, 4, 5, 6)).float()
    assert torch.equal(ours.float()(x), plain.float()(x))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_on_a_gpu(dtype: torch.dtype) -> None:
    plain, ours = pair(3)
    for module in (plain, ours):
        module.float().cuda()
    x = clips((2, 3, 4, 5, 6)).to("cuda", dtype)
    with torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
        torch.testing.assert_close(ours(x), plain(x))
    torch.testing.assert_close(ours.running_var, plain.running_var)


def test_compile_sees_one_graph() -> None:
    _, ours = pair(3)

    def step(x: Tensor) -> Tensor:
        return ours.as_pictures(x).relu_() + 1

    x = clips((2, 3, 4, 5, 6))
    expected = step(x)
    torch.testing.assert_close(
        torch.compile(step, fullgraph=True, backend="aot_eager")(x), expected
    )


def test_it_is_converted_for_several_processes() -> None:
    network = pretext_network(4, depth=10, width=2)
    names = list(network.state_dict())
    synced = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    assert not any(isinstance(module, nn.BatchNorm3d) for module in synced.modules())
    assert sum(isinstance(module, nn.SyncBatchNorm) for module in synced.modules()) == 9
    assert list(synced.state_dict()) == names


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(N, C, T, H, W\), got \(2, 3\)"):
        BatchNorm(3)(torch.zeros(2, 3))
