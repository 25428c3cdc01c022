import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fastrot.models.flops import forward_flops, stem_flops, train_flops
from fastrot.models.network import transfer_network
from fastrot.models.resnet3d import ResNet3D, Shortcut

# The standard network on 16x112x112, by hand: 2 * outputs * kernel volume * channels in * channels out.
STEM = 2 * (16 * 56 * 56) * 343 * 3 * 64
LAYER1 = 2 * (8 * 28 * 28) * 27 * 4 * 64 * 64
LAYER2 = 2 * (4 * 14 * 14) * 27 * (64 * 128 + 3 * 128 * 128)
LAYER3 = 2 * (2 * 7 * 7) * 27 * (128 * 256 + 3 * 256 * 256)
LAYER4 = 2 * (1 * 4 * 4) * 27 * (256 * 512 + 3 * 512 * 512)
FORWARD = STEM + LAYER1 + LAYER2 + LAYER3 + LAYER4


def test_standard_network_by_hand() -> None:
    assert stem_flops(64, 16, 112) == STEM == 6_608_781_312
    assert forward_flops() == FORWARD
    assert train_flops() == 3 * FORWARD - STEM
    assert forward_flops() / 1e9 == pytest.approx(16.6, abs=0.05)
    assert train_flops() / 1e9 == pytest.approx(43.2, abs=0.05)
    assert pytest.approx(0.40, abs=0.005) == STEM / FORWARD


def test_shortcut_b_adds_its_projections() -> None:
    projections = (4 * 14 * 14) * 64 * 128 + (2 * 7 * 7) * 128 * 256 + (1 * 4 * 4) * 256 * 512
    assert forward_flops(shortcut="B") == FORWARD + 2 * projections


@pytest.mark.parametrize(
    ("depth", "width", "frames", "size", "shortcut"),
    [
        (18, 64, 16, 112, "A"),
        (18, 64, 16, 112, "B"),
        (18, 64, 64, 112, "A"),
        (34, 64, 16, 112, "A"),
        (10, 16, 8, 56, "A"),
        (10, 5, 7, 45, "B"),
    ],
)
def test_against_torchs_counter(
    depth: int, width: int, frames: int, size: int, shortcut: Shortcut
) -> None:
    with torch.device("meta"):
        network = ResNet3D(depth, width, shortcut)
        x = torch.empty(1, 3, frames, size, size)
    with FlopCounterMode(display=False) as counter:
        features = network(x)
    assert counter.get_total_flops() == forward_flops(depth, width, frames, size, shortcut)
    with counter:
        network(x).sum().backward()
    assert features.shape == (1, 8 * width)
    assert counter.get_total_flops() == train_flops(depth, width, frames, size, shortcut)


@pytest.mark.parametrize("frozen", range(6))
@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_frozen_blocks_cost_no_backward_pass(frozen: int, shortcut: Shortcut) -> None:
    with torch.device("meta"):
        network = transfer_network(2, depth=10, width=5, shortcut=shortcut)
        network.freeze(frozen)
        x = torch.empty(1, 3, 7, 45, 45)
    with FlopCounterMode(display=False) as counter:
        network(x).sum().backward()
    counted = counter.get_flop_counts()["Global"][torch.ops.aten.convolution]
    counted += counter.get_flop_counts()["Global"].get(torch.ops.aten.convolution_backward, 0)
    assert counted == train_flops(10, 5, 7, 45, shortcut, frozen=frozen)
