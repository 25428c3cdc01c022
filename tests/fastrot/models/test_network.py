from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fastrot.models.network import (
    Network,
    TwoHeads,
    copy_backbone,
    pretext_network,
    transfer_network,
)
from fastrot.models.resnet3d import Shortcut
from pipelines.errors import FastrotError

# Parameters of the standard network, width 64 and depth 18, by hand.
# A convolution has kernel volume * channels in * channels out, BatchNorm 2 a channel.
STEM = 343 * 3 * 64 + 2 * 64  # 65,984
LAYER1 = 4 * 27 * 64 * 64 + 4 * 2 * 64  # 442,880
LAYER2 = 27 * 64 * 128 + 3 * 27 * 128 * 128 + 4 * 2 * 128  # 1,549,312
LAYER3 = 27 * 128 * 256 + 3 * 27 * 256 * 256 + 4 * 2 * 256  # 6,195,200
LAYER4 = 27 * 256 * 512 + 3 * 27 * 512 * 512 + 4 * 2 * 512  # 24,776,704
BACKBONE = STEM + LAYER1 + LAYER2 + LAYER3 + LAYER4
PROJECTIONS = (64 * 128 + 2 * 128) + (128 * 256 + 2 * 256) + (256 * 512 + 2 * 512)
PRETEXT_HEAD = 512 * 64 + 64 + 64 * 4 + 4


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts() -> None:
    assert BACKBONE == 33_030_080
    with torch.device("meta"):
        assert parameters(pretext_network(4)) == BACKBONE + PRETEXT_HEAD == 33_063_172
        assert parameters(pretext_network(4, shortcut="B")) == BACKBONE + PROJECTIONS + PRETEXT_HEAD
        # Hara's own network for the 400 classes of Kinetics: 33.2 million.
        assert parameters(transfer_network(400)) == BACKBONE + 512 * 400 + 400 == 33_235_280
        assert parameters(transfer_network(101)) == BACKBONE + 512 * 101 + 101


BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def hara_names(shortcut: Shortcut) -> list[str]:
    """Write out the names in a ResNet-18 file of the authors' released code, head excepted."""
    names = ["conv1.weight", *(f"bn1.{n}" for n in BATCH_NORM)]
    for layer in ("layer1", "layer2", "layer3", "layer4"):
        for block in ("0", "1"):
            for i in "12":
                names.append(f"{layer}.{block}.conv{i}.weight")
                names += [f"{layer}.{block}.bn{i}.{n}" for n in BATCH_NORM]
            if shortcut == "B" and layer != "layer1" and block == "0":
                names.append(f"{layer}.0.downsample.0.weight")
                names += [f"{layer}.0.downsample.1.{n}" for n in BATCH_NORM]
    return names


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_state_dict_has_haras_names(shortcut: Shortcut) -> None:
    with torch.device("meta"):
        transfer = transfer_network(101, shortcut=shortcut).state_dict()
        pretext = pretext_network(4, shortcut=shortcut).state_dict()
    assert list(transfer) == [*hara_names(shortcut), "fc.weight", "fc.bias"]
    head = ["fc.0.weight", "fc.0.bias", "fc.2.weight", "fc.2.bias"]
    assert list(pretext) == [*hara_names(shortcut), *head]
    assert transfer["conv1.weight"].shape == (64, 3, 7, 7, 7)
    assert transfer["layer2.0.conv1.weight"].shape == (128, 64, 3, 3, 3)
    assert pretext["fc.0.weight"].shape == (64, 512)
    assert pretext["fc.2.weight"].shape == (4, 64)


def tiny(
    classes: int = 4, *, pretext: bool = True, shortcut: Shortcut = "A", depth: int = 10
) -> Network:
    make = pretext_network if pretext else transfer_network
    return make(classes, depth=depth, width=2, shortcut=shortcut)


def some_clips() -> Tensor:
    x = torch.randn(4, 3, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    return x.to(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("shortcut", ["A", "B"])
@pytest.mark.parametrize("pretext", [True, False])
def test_backward_gives_every_parameter_a_finite_gradient(
    shortcut: Shortcut, pretext: bool
) -> None:
    torch.manual_seed(0)
    network = tiny(pretext=pretext, shortcut=shortcut, depth=18)
    logits = network(some_clips())
    assert logits.shape == (4, 4)
    nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_logits_are_the_head_of_the_features() -> None:
    network = tiny().eval()
    x = some_clips()
    features = network.embed(x)
    assert features.shape == (4, 16)
    hidden = (features @ network.fc[0].weight.T + network.fc[0].bias).clamp(min=0)
    torch.testing.assert_close(network(x), hidden @ network.fc[2].weight.T + network.fc[2].bias)


def test_pretext_backbone_moves_to_the_transfer_network() -> None:
    torch.manual_seed(0)
    pretext = tiny(pretext=True)
    pretext(some_clips())  # moves the running statistics away from their start
    pretext.eval()
    transfer = tiny(7, pretext=False).eval()
    head = transfer.fc.weight.clone()
    loaded, left = copy_backbone(transfer, pretext.state_dict())
    assert not left
    assert loaded == [name for name in pretext.state_dict() if not name.startswith("fc.")]
    torch.testing.assert_close(transfer.embed(some_clips()), pretext.embed(some_clips()))
    assert torch.equal(transfer.fc.weight, head)


def test_two_heads_see_the_same_features_and_both_stay_behind() -> None:
    torch.manual_seed(0)
    pretext = tiny(pretext=True)
    pretext.fc = TwoHeads(pretext.fc, nn.Linear(16, 3))
    pretext.eval()
    features = pretext.embed(some_clips())
    rotation, speed = pretext(some_clips()).split([4, 3], dim=1)
    torch.testing.assert_close(rotation, pretext.fc.rotation(features))
    torch.testing.assert_close(speed, features @ pretext.fc.speed.weight.T + pretext.fc.speed.bias)
    transfer = tiny(7, pretext=False).eval()
    loaded, left = copy_backbone(transfer, pretext.state_dict())
    assert not left
    heads = {"rotation.0", "rotation.2", "speed"}
    unused = {f"fc.{head}.{kind}" for head in heads for kind in ("weight", "bias")}
    assert set(pretext.state_dict()) - set(loaded) == unused
    torch.testing.assert_close(transfer.embed(some_clips()), features)


def test_files_without_batch_counters_load() -> None:
    state = {k: v for k, v in tiny().state_dict().items() if not k.endswith("num_batches_tracked")}
    target = tiny()
    copy_backbone(target, state)
    assert torch.equal(target.state_dict()["layer4.0.bn2.weight"], state["layer4.0.bn2.weight"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            lambda: pretext_network(4, depth=10, width=3),
            r"conv1.weight has shape \(3, 3, 7, 7, 7\), expected \(2, ",
        ),
        (lambda: tiny(depth=18), "layer1.1.conv1.weight is not part of the network"),
        (lambda: tiny(shortcut="B"), r"layer2.0.downsample.0.weight is not .* \(and 17 more"),
    ],
)
def test_weights_of_another_network_are_refused(
    source: Callable[[], Network], message: str
) -> None:
    target = tiny()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(FastrotError, match=message):
        copy_backbone(target, source().state_dict())
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_missing_weights_are_named() -> None:
    state = tiny().state_dict()
    del state["layer3.0.bn1.bias"]
    with pytest.raises(FastrotError, match=r"layer3.0.bn1.bias is missing\. Check depth"):
        copy_backbone(tiny(), state)
