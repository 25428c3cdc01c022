"""``fastrot weights`` and ``fastrot features`` as people use them."""

import numpy as np
import pytest

from fastrot.cli import main
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.features import block_features
from fastrot.evaluation.trained import load_trained
from fastrot.training.run import train
from pipelines.store.reading import Store


@pytest.fixture
def trained(tiny_config):
    config = tiny_config(train={"iterations": 1})
    return train(config, quiet=True).last, config.data.store


def test_features_of_a_checkpoint_and_of_its_export_are_those_of_the_block(
    trained, tmp_path, runtime, capsys
):
    checkpoint, path = trained
    store = Store.open(path)
    expected = block_features(
        load_trained(checkpoint, runtime), ClipSet(store, "test1", 2), runtime
    )
    export = tmp_path / "backbone.safetensors"
    assert main(["weights", "export", str(checkpoint), str(export)]) == 0
    assert "3D ResNet-10" in capsys.readouterr().out
    for source in (checkpoint, export):
        out = tmp_path / "features.npz"
        command = ["features", str(source), "--store", path, "--out", str(out), "--clips", "2"]
        assert main([*command, "--split", "test1", "--block", "layer2"]) == 0
        with np.load(out) as found:
            assert found["features"].dtype == np.float32
            np.testing.assert_allclose(
                found["features"], expected.blocks[2].numpy(), rtol=1e-4, atol=1e-5
            )
            names = [store.name(int(i)) for i in store.select("test1")]
            assert found["names"].tolist() == names
            assert found["labels"].tolist() == store.labels[store.select("test1")].tolist()
            assert found["classes"].tolist() == ["class0", "class1"]
            assert "layer2 of " in str(found["protocol"])
            assert "frozen features" in str(found["protocol"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "f.txt"], "the name must end in .npz"),
        (["--out", "f.npz", "--block", "fc"], "unknown block 'fc'"),
        (["--out", "f.npz", "--split", "dev"], "no split 'dev'"),
    ],
)
def test_wrong_options_exit_with_2(trained, options, message, capsys):
    checkpoint, store = trained
    assert main(["features", str(checkpoint), "--store", store, *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--clips", "--batch"])
def test_clips_and_batch_are_whole_numbers_above_0(option, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["features", "last.pt", "--store", "STORE", "--out", "f.npz", option, "0"])
    assert stop.value.code == 2
    assert f"{option}: 0 is too small" in capsys.readouterr().err


def test_import_says_what_is_left_untrained(trained, tmp_path, capsys):
    import torch

    from fastrot.models.backbone import load_backbone

    tensors = load_backbone(trained[0]).state_dict()
    del tensors["bn1.weight"]
    torch.save(tensors, tmp_path / "other.pth")
    command = ["weights", "import", str(tmp_path / "other.pth"), str(tmp_path / "in.pt")]
    assert main(command) == 1
    assert "bn1.weight is missing" in capsys.readouterr().err
    assert main([*command, "--partial"]) == 2
    assert "other.pth (a bare state dict) does not contain what it was" in capsys.readouterr().err
    (tmp_path / "clips.yaml").write_text("data: {frames: 4, crop: 32, modality: dif}\n")
    described = ["--trained-on", str(tmp_path / "clips.yaml")]
    assert main([*command, "--partial", *described]) == 0
    assert "randomly initialised: bn1.weight" in capsys.readouterr().out
    assert load_backbone(tmp_path / "in.pt").data.modality == "dif"


def test_features_of_a_file_that_does_not_describe_its_clips(trained, tmp_path, capsys):
    """It asks, and with the answer computes what the checkpoint computes."""
    import torch

    checkpoint, store = trained
    torch.save(torch.load(checkpoint, weights_only=True)["model"], tmp_path / "bare.pth")
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    options = ["--store", store, "--clips", "1"]
    bare = ["features", str(tmp_path / "bare.pth"), *options, "--out", str(second)]
    assert main(bare) == 2
    assert "--trained-on CONFIG" in capsys.readouterr().err
    run = checkpoint.parents[1]
    assert main([*bare, "--trained-on", str(run / "config.yaml")]) == 0
    assert main(["features", str(run), *options, "--out", str(first)]) == 0  # the run's folder
    with np.load(first) as expected, np.load(second) as found:
        np.testing.assert_allclose(found["features"], expected["features"], rtol=1e-5, atol=1e-6)


def test_a_runs_folder_is_exported_by_its_last_checkpoint(trained, tmp_path, capsys):
    checkpoint, _ = trained
    outs = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for source, out in zip((checkpoint, checkpoint.parents[1]), outs, strict=True):
        assert main(["weights", "export", str(source), str(out)]) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert main(["weights", "export", str(tmp_path), str(outs[0])]) == 1
    assert f"the folder {tmp_path} has no checkpoints/last.pt" in capsys.readouterr().err
