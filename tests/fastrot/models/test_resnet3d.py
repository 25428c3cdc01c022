import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastrot.models.resnet3d import BasicBlock, ResNet3D, Shortcut, ShortcutA

CHANNELS_LAST = torch.channels_last_3d


def clips(batch: int = 2, frames: int = 8, size: int = 56, seed: int = 0) -> Tensor:
    x = torch.randn(batch, 3, frames, size, size, generator=torch.Generator().manual_seed(seed))
    return x.to(memory_format=CHANNELS_LAST)


@pytest.mark.parametrize(
    ("frames", "size", "expected"),
    [
        (16, 112, [(8, 28), (8, 28), (4, 14), (2, 7), (1, 4)]),
        (64, 112, [(32, 28), (32, 28), (16, 14), (8, 7), (4, 4)]),
        (8, 56, [(4, 14), (4, 14), (2, 7), (1, 4), (1, 2)]),
        (5, 23, [(3, 6), (3, 6), (2, 3), (1, 2), (1, 1)]),
        (1, 9, [(1, 3), (1, 3), (1, 2), (1, 1), (1, 1)]),
    ],
)
@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_stage_shapes(
    frames: int, size: int, expected: list[tuple[int, int]], shortcut: Shortcut
) -> None:
    with torch.device("meta"):
        network = ResNet3D(depth=18, width=64, shortcut=shortcut)
        x = torch.empty(2, 3, frames, size, size)
    channels = [64, 64, 128, 256, 512]
    shapes = [(2, c, t, s, s) for c, (t, s) in zip(channels, expected, strict=True)]
    assert [tuple(y.shape) for y in network.stages(x)] == shapes
    assert network(x).shape == (2, 512)


def test_oblong_frames_and_an_odd_width() -> None:
    network = ResNet3D(depth=10, width=3)
    assert network.features == 24
    shapes = [tuple(y.shape) for y in network.stages(torch.randn(2, 3, 4, 20, 36))]
    assert shapes == [
        (2, 3, 2, 5, 9),
        (2, 3, 2, 5, 9),
        (2, 6, 1, 3, 5),
        (2, 12, 1, 2, 3),
        (2, 24, 1, 1, 2),
    ]


def test_width_scales_every_stage() -> None:
    x = clips(batch=1, frames=4, size=16)
    for width in (2, 4):
        network = ResNet3D(depth=10, width=width).eval()
        assert [y.shape[1] for y in network.stages(x)] == [width * k for k in (1, 1, 2, 4, 8)]
        assert network(x).shape == (1, network.features) == (1, 8 * width)


def test_output_is_the_average_of_the_last_stage() -> None:
    network = ResNet3D(depth=10, width=2).eval()
    x = clips()
    torch.testing.assert_close(
        network(x), F.adaptive_avg_pool3d(network.stages(x)[-1], 1).flatten(1)
    )


@pytest.mark.parametrize(("depth", "blocks"), [(10, "1111"), (18, "2222"), (34, "3463")])
def test_depths(depth: int, blocks: str) -> None:
    with torch.device("meta"):
        network = ResNet3D(depth, width=1)
    layers = (network.layer1, network.layer2, network.layer3, network.layer4)
    assert "".join(str(len(layer)) for layer in layers) == blocks
    # A stem and two convolutions a block; the last of the depth's layers is the head's.
    assert sum(isinstance(m, nn.Conv3d) for m in network.modules()) == depth - 1


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="depth must be one of 10, 18, 34, got 50"):
        ResNet3D(depth=50)
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        ResNet3D(width=0)
    with pytest.raises(ValueError, match="shortcut must be A or B"):
        ResNet3D(shortcut="C")


def hara_shortcut(x: Tensor, channels: int, stride: int) -> Tensor:
    """Compute shortcut A as the authors' released code does, less the `.data` that cuts the gradient."""
    out = F.avg_pool3d(x, kernel_size=1, stride=stride)
    zeros = torch.zeros(out.size(0), channels - out.size(1), *out.shape[2:], dtype=x.dtype)
    return torch.cat([out, zeros], dim=1)


@pytest.mark.parametrize("size", [(4, 6, 6), (3, 5, 7), (1, 4, 4), (1, 1, 1)])
def test_shortcut_a_is_haras_with_its_gradient(size: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    x = (
        torch.randn(2, 3, *size, dtype=torch.float64)
        .to(memory_format=CHANNELS_LAST)
        .requires_grad_()
    )
    shortcut = ShortcutA(channels=6, stride=2)
    assert torch.equal(shortcut(x), hara_shortcut(x, 6, 2))
    assert torch.autograd.gradcheck(shortcut, (x,))
    # Each sampled position gets its own gradient, every other one none.
    (gradient,) = torch.autograd.grad(shortcut(x).sum(), x)
    expected = torch.zeros_like(x)
    expected[:, :, ::2, ::2, ::2] = 1
    assert torch.equal(gradient, expected)


def test_gradient_reaches_the_input_through_the_shortcut_alone() -> None:
    block = BasicBlock(2, 4, stride=2, shortcut="A").eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 2, 4, 4, 4, requires_grad=True)  # positive, so the last ReLU lets all pass
    block(x)[:, :2].sum().backward()
    assert x.grad is not None
    assert x.grad.sum() == 2 * 2 * 2 * 2


def test_initialisation_is_kaiming_normal_by_fan_out() -> None:
    torch.manual_seed(0)
    network = ResNet3D(depth=10, width=16, shortcut="B")
    for name, parameter in network.named_parameters():
        if parameter.ndim == 5:
            fan_out = parameter.shape[0] * parameter[0, 0].numel()
            expected = (2 / fan_out) ** 0.5
            # The deviation of a sample deviation is about 1 / sqrt(2n) of it: allow five of them.
            slack = 5 / (2 * parameter.numel()) ** 0.5
            assert parameter.std().item() == pytest.approx(expected, rel=slack), name
        else:
            assert (parameter == (1 if name.endswith("weight") else 0)).all(), name


def layouts(network: nn.Module, x: Tensor) -> dict[str, bool]:
    """Run the network; return whether each 5-D activation larger than 1x1x1 is channels_last_3d."""
    seen: dict[str, bool] = {}
    handles = []
    for name, module in network.named_modules():

        def hook(_module: nn.Module, _args: object, output: Tensor, name: str = name) -> None:
            if output.ndim == 5 and output[0, 0].numel() > 1:
                seen[name] = output.is_contiguous(memory_format=CHANNELS_LAST)

        handles.append(module.register_forward_hook(hook))
    network(x).sum().backward()
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("weights", [torch.contiguous_format, CHANNELS_LAST])
@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_activations_stay_channels_last(shortcut: Shortcut, weights: torch.memory_format) -> None:
    network = ResNet3D(depth=18, width=4, shortcut=shortcut).to(memory_format=weights)
    seen = layouts(network, clips())
    assert {"conv1", "maxpool", "layer2.0.downsample", "layer4.1"} <= seen.keys()
    assert [name for name, kept in seen.items() if not kept] == []


def test_the_layout_check_sees_a_contiguous_activation() -> None:
    seen = layouts(ResNet3D(depth=10, width=4), clips().contiguous())
    assert not seen["conv1"]
    assert not seen["layer2.0.conv2"]


@pytest.mark.parametrize("channels", [4, 8])
def test_padded_colours_change_neither_outputs_nor_gradients(channels: int) -> None:
    network = ResNet3D(depth=10, width=4).eval()
    x = clips(frames=4, size=24)
    padded = F.pad(x, (0, 0, 0, 0, 0, 0, 0, channels - 3)).contiguous(memory_format=CHANNELS_LAST)
    found = []
    for inputs in (x, padded):
        network.zero_grad()
        out = network(inputs)
        out.square().sum().backward()
        gradient = network.conv1.weight.grad
        assert gradient is not None
        assert gradient.shape == network.conv1.weight.shape == (4, 3, 7, 7, 7)
        found.append((out.detach(), gradient.clone()))
    torch.testing.assert_close(found[0], found[1])
