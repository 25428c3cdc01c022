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
    assert main([*command, "--partial"]) == 0
    assert "randomly initialised: bn1.weight" in capsys.readouterr().out
