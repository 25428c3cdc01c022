"""Backbones out of checkpoints and into other tools: the same features, and a report of what matched."""

import json
import sys

import pytest
import torch
from safetensors import safe_open

from fastrot.config import from_mapping
from fastrot.evaluation.trained import load_trained
from fastrot.models.backbone import convert, find_model, load_backbone
from fastrot.models.network import transfer_network
from fastrot.models.weight_files import start_from
from fastrot.training.run import train
from pipelines.errors import FastrotError, UsageError

CLIPS = from_mapping({"data": {"frames": 32, "crop": 96, "mean": [0.1, 0.2, 0.3]}}).data


@pytest.fixture
def checkpoint(tiny_config):
    data = {"modality": "dif", "stride": 2, "dead_zone": 3}
    config = tiny_config(train={"iterations": 1}, data=data)
    return train(config, quiet=True).last


def state(shortcut="A", depth=10, width=4):
    torch.manual_seed(3)
    return transfer_network(5, depth=depth, width=width, shortcut=shortcut).state_dict()


def test_a_checkpoints_backbone_gives_the_networks_features(checkpoint, runtime):
    backbone = load_backbone(checkpoint)
    assert (backbone.data.modality, backbone.data.frames, backbone.data.stride) == ("dif", 4, 2)
    clips = torch.randint(-200, 200, (2, 4, 32, 32, 3), dtype=torch.int16)
    trained = load_trained(checkpoint, runtime)
    inputs = (clips.float() / 255 / 0.1).permute(0, 4, 1, 2, 3)  # DIF: mean 0, std 0.1
    with torch.no_grad():
        expected = trained.network.eval().embed(inputs)
    features = backbone.embed_clips(clips)
    assert features.shape == (2, 32)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    assert not backbone.training


@pytest.mark.parametrize("name", ["out.safetensors", "out.pt"])
def test_an_export_loads_as_it_was(checkpoint, tmp_path, name):
    report = convert(checkpoint, tmp_path / name).lines()
    again, first = load_backbone(tmp_path / name), load_backbone(checkpoint)
    assert again.data.statistics == first.data.statistics
    assert (again.data.modality, again.data.stride, again.data.dead_zone) == ("dif", 2, 3)
    for key, value in first.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    assert "3D ResNet-10, width 4, shortcut A, from fastrot" in report[0]
    assert report[1].startswith("not used: fc.")


def test_safetensors_say_what_they_are_of(checkpoint, tmp_path):
    convert(checkpoint, tmp_path / "out.safetensors")
    with safe_open(tmp_path / "out.safetensors", "pt") as file:
        about = json.loads(file.metadata()["fastrot"])
        assert "conv1.weight" in set(file.keys())
    assert about["model"] == {"depth": 10, "width": 4, "shortcut": "A"}
    assert about["data"]["std"] == [0.1, 0.1, 0.1]


@pytest.mark.parametrize("name", ["out.safetensors", "out.pt"])
def test_an_export_starts_a_network(checkpoint, tmp_path, name):
    convert(checkpoint, tmp_path / name)
    network = transfer_network(5, depth=10, width=4)
    start_from(tmp_path / name, network)
    assert torch.equal(network.conv1.weight, load_backbone(checkpoint).conv1.weight)


def test_haras_file_is_imported_with_a_report(tmp_path):
    tensors = {f"module.{name}": value for name, value in state("B").items()}
    torch.save({"arch": "resnet-10", "state_dict": tensors}, tmp_path / "hara.pth")
    report = convert(tmp_path / "hara.pth", tmp_path / "in.pt", trained_on=CLIPS).lines()
    assert "shortcut B, from Hara's format" in report[0]
    assert report[1] == "not used: fc.bias, fc.weight"
    assert torch.equal(load_backbone(tmp_path / "in.pt").conv1.weight, state("B")["conv1.weight"])


def test_another_stem_is_refused_but_for_a_partial_import(tmp_path):
    tensors = state("B")
    tensors["conv1.weight"] = torch.randn(4, 3, 3, 7, 7)
    torch.save(tensors, tmp_path / "r3d.pth")
    with pytest.raises(FastrotError, match=r"r3d\.pth.*Its stem kernel is 3x7x7.*--partial"):
        convert(tmp_path / "r3d.pth", tmp_path / "in.pt")
    assert not (tmp_path / "in.pt").exists()
    report = convert(tmp_path / "r3d.pth", tmp_path / "in.pt", partial=True, trained_on=CLIPS)
    assert report.untrained == ["conv1.weight"]
    assert report.lines()[-1] == "not in the file, randomly initialised: conv1.weight"


@pytest.mark.parametrize(("depth", "shortcut"), [(10, "A"), (18, "B"), (34, "A")])
def test_the_tensors_tell_the_model(depth, shortcut):
    model = find_model(state(shortcut, depth, width=2))
    assert (model.depth, model.width, model.shortcut) == (depth, 2, shortcut)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"conv1.weight": torch.zeros(4, 3, 7, 7)}, "not a 3D ResNet"),
        ({**state(), "layer1.0.conv3.weight": torch.zeros(1)}, "bottleneck blocks"),
        ({**state(), "layer1.1.conv1.weight": torch.zeros(1)}, r"\(2, 1, 1, 1\) blocks"),
    ],
)
def test_other_networks_are_refused(tensors, message, tmp_path):
    torch.save(tensors, tmp_path / "other.pth")
    with pytest.raises(FastrotError, match=rf"other\.pth.*{message}"):
        load_backbone(tmp_path / "other.pth")


def test_an_unknown_suffix_is_refused(checkpoint, tmp_path):
    with pytest.raises(UsageError, match=r"\.safetensors, \.pt, \.pth"):
        convert(checkpoint, tmp_path / "out.onnx")


def test_without_safetensors_the_remedy_is_named(checkpoint, tmp_path, monkeypatch):
    for name in ("safetensors", "safetensors.torch"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(FastrotError, match="pip install safetensors"):
        convert(checkpoint, tmp_path / "out.safetensors")
    with pytest.raises(FastrotError, match="pip install safetensors"):
        load_backbone(tmp_path / "any.safetensors")


def test_a_torn_file_is_damaged(tmp_path):
    (tmp_path / "torn.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(FastrotError, match=r"torn\.safetensors is damaged"):
        load_backbone(tmp_path / "torn.safetensors")


def test_what_a_file_says_of_its_clips_must_make_sense(tmp_path):
    about = {"data": {"modality": "sound"}}
    torch.save({"state_dict": state(), "fastrot": about}, tmp_path / "odd.pt")
    with pytest.raises(FastrotError, match="invalid clip metadata"):
        load_backbone(tmp_path / "odd.pt")


def test_a_foreign_file_asks_what_it_was_trained_on(tmp_path):
    torch.save(state(), tmp_path / "bare.pth")
    with pytest.raises(
        UsageError, match=r"bare\.pth \(a bare state dict\) does not contain .*--trained-on"
    ):
        load_backbone(tmp_path / "bare.pth")
    assert load_backbone(tmp_path / "bare.pth", trained_on=CLIPS).data == CLIPS
    convert(tmp_path / "bare.pth", tmp_path / "in.pt", trained_on=CLIPS)
    data = load_backbone(tmp_path / "in.pt").data
    assert (data.frames, data.crop, data.statistics) == (32, 96, CLIPS.statistics)
    with pytest.raises(UsageError, match=r"in\.pt contains what it was trained on: remove"):
        load_backbone(tmp_path / "in.pt", trained_on=CLIPS)
