"""Recipes are the configs of the same names, and the paper's is what the paper's configs do."""

from pathlib import Path
from typing import Any

import pytest

from fastrot.config import load_config
from fastrot.config.data_config import Modality
from fastrot.config.recipes import RECIPES, Recipe, recipe_overrides

CONFIGS = Path(__file__).parents[3] / "configs"


def values(file: str, overrides: list[str]) -> tuple[Any, ...]:
    config = load_config(CONFIGS / file, overrides)
    return config.data, config.rotation, config.model, config.optim, config.train


@pytest.mark.parametrize("modality", ["rgb", "dif"])
def test_recipes_are_the_configs_of_their_names(modality: Modality) -> None:
    name = f"kinetics_{modality}_16"
    for recipe, suffix in (("paper", ""), ("augmented", "_augmented"), ("speed", "_speed")):
        overrides = recipe_overrides(recipe, "pretrain", modality)
        assert values(f"pretrain/{name}.yaml", overrides) == values(
            f"pretrain/{name}{suffix}.yaml", []
        )
    both = recipe_overrides("both", "pretrain", modality)
    assert values(f"pretrain/{name}.yaml", both) == values(
        f"pretrain/{name}_augmented.yaml", ["rotation.speeds=[1, 2, 4]"]
    )


@pytest.mark.parametrize("recipe", RECIPES)
def test_fine_tuning_is_augmented_like_pretraining_and_has_no_speeds(recipe: Recipe) -> None:
    overrides = recipe_overrides(recipe, "finetune", "dif")
    suffix = "_augmented" if recipe in ("augmented", "both") else ""
    assert values("finetune/ucf101_dif_16.yaml", overrides) == values(
        f"finetune/ucf101_dif_16{suffix}.yaml", []
    )
