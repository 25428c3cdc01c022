import pytest
import torch

from fastrot.models.network import pretext_network, transfer_network
from fastrot.models.weight_files import start_from
from pipelines.errors import FastrotError

SMALL = {"depth": 10, "width": 4}


def network(shortcut="B", seed=0):
    torch.manual_seed(seed)
    return transfer_network(5, shortcut=shortcut, **SMALL)


def backbone(state):
    return {name: value.clone() for name, value in state.items() if not name.startswith("fc.")}


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name


def torchvision_name(name):
    """Name as torchvision's r3d_18 does, written out independently of the module under test."""
    head, *rest = name.split(".")
    if head in ("conv1", "bn1"):
        return ".".join(["stem", "0" if head == "conv1" else "1", *rest])
    if head.startswith("layer") and rest[1] in ("conv1", "bn1", "conv2", "bn2"):
        kind, number = rest[1][:-1], rest[1][-1]
        inner = "0" if kind == "conv" else "1"
        return ".".join([head, rest[0], f"conv{number}", inner, *rest[2:]])
    return name


def test_haras_form(tmp_path):
    other = network(seed=1)
    state = {f"module.{name}": value for name, value in other.state_dict().items()}
    torch.save({"epoch": 3, "arch": "resnet-10", "state_dict": state}, tmp_path / "hara.pth")
    mine = network()
    head = mine.fc.weight.clone()
    report = start_from(tmp_path / "hara.pth", mine)
    assert_same(backbone(mine.state_dict()), backbone(other.state_dict()))
    assert torch.equal(mine.fc.weight, head)
    loaded = len(backbone(mine.state_dict()))
    assert f"(Hara's format): {loaded} tensors loaded, not used: fc.bias, fc.weight" in report


def test_torchvisions_form_with_our_stem(tmp_path):
    other = network(seed=1)
    state = {torchvision_name(name): value for name, value in other.state_dict().items()}
    assert {"stem.0.weight", "layer1.0.conv1.0.weight", "layer2.0.downsample.1.bias"} < set(state)
    torch.save(state, tmp_path / "r3d.pth")
    mine = network()
    assert "(torchvision's format)" in start_from(tmp_path / "r3d.pth", mine)
    assert_same(backbone(mine.state_dict()), backbone(other.state_dict()))


def torchvision_file(path):
    """Save a file whose stem is r3d_18's: 3x7x7."""
    other = network(seed=1)
    state = {torchvision_name(name): value for name, value in other.state_dict().items()}
    state["stem.0.weight"] = torch.randn(4, 3, 3, 7, 7)
    torch.save(state, path)
    return other


def test_another_stem_is_refused_with_the_reason_and_nothing_changes(tmp_path):
    torchvision_file(tmp_path / "r3d.pth")
    mine = network()
    before = {name: value.clone() for name, value in mine.state_dict().items()}
    with pytest.raises(
        FastrotError, match=r"kernel is 3x7x7, the network's is 7x7x7.*init_partial=true"
    ):
        start_from(tmp_path / "r3d.pth", mine)
    assert_same(dict(mine.state_dict()), before)


def test_partial_takes_what_fits_and_says_what_is_left(tmp_path):
    other = torchvision_file(tmp_path / "r3d.pth")
    mine = network()
    stem = mine.conv1.weight.clone()
    report = start_from(tmp_path / "r3d.pth", mine, partial=True)
    counters = ".num_batches_tracked"
    total = sum(not name.endswith(counters) for name in backbone(mine.state_dict()))
    assert f"{total - 1} of {total} tensors loaded, not loaded: conv1.weight" in report
    assert torch.equal(mine.conv1.weight, stem)
    assert torch.equal(mine.layer3[0].conv2.weight, other.layer3[0].conv2.weight)


@pytest.mark.parametrize("partial", [False, True])
def test_weights_of_another_width_are_refused(tmp_path, partial):
    torch.manual_seed(0)
    torch.save(transfer_network(5, depth=10, width=6).state_dict(), tmp_path / "wide.pth")
    with pytest.raises(FastrotError, match=r"init=.*wide\.pth"):
        start_from(tmp_path / "wide.pth", network("A"), partial=partial)


def test_shortcut_b_does_not_fit_a(tmp_path):
    torch.save(network("B").state_dict(), tmp_path / "b.pth")
    with pytest.raises(FastrotError, match=r"layer2\.0\.downsample.*not part of the network"):
        start_from(tmp_path / "b.pth", network("A"))


@pytest.mark.parametrize("content", [{}, {"state_dict": {}}, {"weights": 3}, [1, 2]])
def test_files_without_weights_are_named(tmp_path, content):
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(FastrotError, match=r"odd\.pth contains"):
        start_from(tmp_path / "odd.pth", network())


def test_a_pretext_network_starts_a_transfer_network(tmp_path):
    torch.manual_seed(2)
    pretext = pretext_network(4, shortcut="A", **SMALL)
    torch.save(pretext.state_dict(), tmp_path / "pretext.pth")
    mine = network("A")
    start_from(tmp_path / "pretext.pth", mine)
    assert_same(backbone(mine.state_dict()), backbone(pretext.state_dict()))
