"""The plan of the audit: its rows, its columns, and what a machine cannot decode."""

from pathlib import Path

import pytest

from fastrot.reproduce.noise_stores import KINDS
from fastrot.reproduce.presets import Changes
from fastrot.reproduce.run_plan import Measurement
from fastrot.reproduce.settings import Setting, demo_setting, paper_setting
from fastrot.reproduce.stores import DemoSizes
from fastrot.reproduce.tables.audit import ROWS, audit


def setting(out: Path, preset: str, *, gpu: bool = False) -> Setting:
    if preset == "paper":
        return paper_setting(out, {}, None, Changes())
    return demo_setting(out, DemoSizes(), None, Changes(), gpu=gpu)


def test_each_noise_has_a_row_with_both_accuracies_on_unseen_noise(tmp_path: Path) -> None:
    preset = setting(tmp_path, "paper").preset
    table = audit(preset)
    assert sorted(ROWS.values()) == sorted(KINDS)
    assert not table.impossible
    assert len(table.entries) == 2 * len(ROWS)
    for rotation, axis in zip(table.entries[::2], table.entries[1::2], strict=True):
        assert rotation.row == axis.row
        assert (rotation.column, axis.column) == ("Rotation accuracy", "Axis accuracy")
        assert (rotation.against, axis.against) == (25.0, 50.0)
        assert (rotation.ours[0].key, axis.ours[0].key) == ("accuracy", "axis_accuracy")
        of = axis.ours[0].source
        assert isinstance(of, Measurement)
        assert of.store == preset.stores[f"noise-{ROWS[axis.row]}"]
        assert of.split == "test"
        assert of.of.run.config.data.split == "train"
        assert of.of.run.config.data.store == of.store


def test_what_a_gpu_cannot_decode_is_not_planned_for_it(tmp_path: Path) -> None:
    assert not audit(setting(tmp_path, "demo").preset).impossible
    table = audit(setting(tmp_path, "demo", gpu=True).preset)
    # The demo's frames are too small for VP9 on GPUs.
    assert list(table.impossible) == ["vp9 store"]
    assert not [entry for entry in table.entries if entry.row == "vp9 store" and entry.ours]
    assert len([entry for entry in table.entries if entry.ours]) == 2 * (len(ROWS) - 1)


@pytest.mark.parametrize(("preset", "size"), [("paper", 136), ("demo", 64)])
def test_the_network_sees_whole_frames(tmp_path: Path, preset: str, size: int) -> None:
    settings = setting(tmp_path, preset)
    assert settings.preset.noise("noise-raw").config.data.crop == size
    (maker,) = [maker for maker in settings._makers if "noise-raw" in maker.paths]
    assert vars(maker)["_size"] == size
