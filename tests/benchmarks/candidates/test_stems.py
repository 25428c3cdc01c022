"""The stem's other forms against the convolution of rotated clips, in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.candidates.stem_pairs import stem_on_pairs
from benchmarks.candidates.stem_turned import stem_of_rotations


def noise(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def stem(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv3d(x, weight, stride=(1, 2, 2), padding=3)


def gradient(weight: Tensor, out: Tensor) -> Tensor:
    (found,) = torch.autograd.grad((out * out.detach().cos()).sum(), weight)
    return found


@pytest.mark.parametrize("shape", [(2, 3, 4, 10, 12), (1, 3, 1, 7, 2), (1, 3, 8, 16, 16)])
def test_pairs_of_columns(shape: tuple[int, ...]) -> None:
    x, weight = noise(*shape), noise(5, 3, 7, 7, 7).requires_grad_()
    fourth = noise(shape[0], 1, *shape[2:])  # must not count
    padded = torch.cat([x, fourth], dim=1).contiguous(memory_format=torch.channels_last_3d)
    expected, got = stem(x, weight), stem_on_pairs(padded, weight)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(gradient(weight, got), gradient(weight, expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", [(2, 3, 4, 10, 10), (1, 3, 1, 2, 2), (1, 3, 8, 16, 16)])
def test_turned_kernels(shape: tuple[int, ...]) -> None:
    x, weight = noise(*shape), noise(5, 3, 7, 7, 7).requires_grad_()
    turned = torch.cat([torch.rot90(x, turn, (3, 4)) for turn in range(4)])
    expected, got = stem(turned, weight), stem_of_rotations(x, weight)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(gradient(weight, got), gradient(weight, expected), rtol=0, atol=1e-9)
