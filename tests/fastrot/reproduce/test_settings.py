"""The presets as the user changes them."""

import pytest

from fastrot.reproduce.presets import Changes
from fastrot.reproduce.settings import demo_setting, paper_setting
from fastrot.reproduce.stores import DemoSizes
from pipelines.errors import UsageError


@pytest.mark.parametrize("changes", [Changes(("seed=7",)), Changes((), ("seed=7",))])
def test_several_seeds_cannot_all_be_one(changes, tmp_path):
    with pytest.raises(UsageError, match=r"seed=7 .* all 3 seeds the same seed: .* --seeds 1"):
        demo_setting(tmp_path, DemoSizes(), None, changes, gpu=False)
    with pytest.raises(UsageError, match="all 2 seeds"):
        paper_setting(tmp_path, {}, 2, changes)


def test_a_single_seed_can_be_another(tmp_path):
    preset = paper_setting(tmp_path, {}, None, Changes((), ("seed=7",))).preset
    assert preset.finetune("ucf101", None).config.seed == 7
    assert preset.pretrain("kinetics").config.seed == 0
