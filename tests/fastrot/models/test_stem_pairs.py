"""The stem on pairs of columns against the plain convolution."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fastrot.models import resnet3d
from fastrot.models.resnet3d import Stem
from fastrot.models.stem_pairs import paired_weight, stem_on_pairs

HALVES = (torch.bfloat16, torch.float16)


def noise(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d)


def gradients(out: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad((out * out.detach().cos()).sum(), inputs)


@pytest.mark.parametrize("channels", [3, 4, 8])
@pytest.mark.parametrize(
    "shape",
    [(2, 4, 10, 12), (1, 1, 7, 2), (3, 2, 5, 7), (2, 1, 1, 1), (1, 8, 16, 15)],
    ids=str,
)
def test_values_and_gradients(shape: tuple[int, ...], channels: int) -> None:
    clips, *sizes = shape
    # What channels beyond the colours hold must not count.
    x = channels_last(noise(clips, channels, *sizes)).requires_grad_()
    weight = channels_last(noise(5, 3, 7, 7, 7)).requires_grad_()
    expected = F.conv3d(x[:, :3], weight, stride=(1, 2, 2), padding=3)
    got = stem_on_pairs(x, weight)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-11)
    for mine, plain in zip(gradients(got, x, weight), gradients(expected, x, weight), strict=True):
        torch.testing.assert_close(mine, plain, rtol=0, atol=1e-9)


def test_the_weights_are_in_the_clips_format() -> None:
    weight = channels_last(noise(5, 3, 7, 7, 7))
    pairs = paired_weight(weight)
    assert pairs.shape == (5, 8, 7, 7, 4)
    assert pairs.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("channels", [3, 4, 8])
def test_the_stem_learns_the_same_on_pairs(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stem = Stem(4).double()
    other = copy.deepcopy(stem)
    x = F.pad(noise(2, 3, 3, 8, 10), (0, 0, 0, 0, 0, 0, 0, channels - 3))
    expected = stem(x)
    monkeypatch.setattr(resnet3d, "_fits_pairs", lambda x: True)
    got = other(x)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-11)
    (mine,), (plain,) = gradients(got, other.weight), gradients(expected, stem.weight)
    torch.testing.assert_close(mine, plain, rtol=0, atol=1e-9)
    other.on_pairs = False
    assert torch.equal(other(x), expected)


def test_compile_sees_one_graph() -> None:
    weight = noise(5, 3, 7, 7, 7)
    x = channels_last(noise(2, 3, 4, 8, 9))
    compiled = torch.compile(stem_on_pairs, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, weight), stem_on_pairs(x, weight))


def test_a_cpu_and_other_formats_keep_the_plain_convolution() -> None:
    x = channels_last(noise(2, 3, 4, 8, 8))
    assert not resnet3d._fits_pairs(x.to(torch.bfloat16))
    meta = x.to("meta", torch.bfloat16)
    assert not resnet3d._fits_pairs(meta)
    stem = Stem(4).double()
    expected = F.conv3d(x, stem.weight, stride=(1, 2, 2), padding=3)
    assert torch.equal(stem(x), expected)


@pytest.mark.gpu
@pytest.mark.parametrize("channels", [3, 4, 8])
@pytest.mark.parametrize("dtype", HALVES)
def test_on_a_gpu(dtype: torch.dtype, channels: int) -> None:
    stem = Stem(64).cuda()
    stem.to(memory_format=torch.channels_last_3d)
    shape = (2, channels, 4, 32, 31)
    x = torch.randn(shape, device="cuda", dtype=dtype)
    x[:, 3:] = 0
    x = channels_last(x)
    assert resnet3d._fits_pairs(x)
    assert not resnet3d._fits_pairs(x.float())
    assert not resnet3d._fits_pairs(x.contiguous())
    # In float64 from the rounded weights: the truth for both ways.
    weight = stem.weight.detach().to(dtype).double()
    truth = F.conv3d(x[:, :3].double(), weight, stride=(1, 2, 2), padding=3)
    found = []
    for stem.on_pairs in (True, False):
        with torch.autocast("cuda", dtype):
            out = stem(x)
        assert out.is_contiguous(memory_format=torch.channels_last_3d)
        found.append((out, *torch.autograd.grad(out.float().square().sum(), stem.weight)))
    for out, _ in found:
        torch.testing.assert_close(out.double(), truth, rtol=0.02, atol=0.02 * float(truth.std()))
    (_, ours), (_, plain) = found
    assert ours.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(ours, plain, rtol=0.02, atol=0.02 * float(plain.std()))
