"""Recipes: the paper's way to train, and ours with augmented clips and the playback speed.

A recipe is a list of overrides of a config. The paper's is empty. All others are ours, not the paper's
(docs/recipes.md), and their numbers are not tuned.
"""

from collections.abc import Sequence
from typing import Literal

from fastrot.config.data_config import Modality

Recipe = Literal["paper", "augmented", "speed", "both"]
Stage = Literal["pretrain", "finetune"]

RECIPES: tuple[Recipe, ...] = ("paper", "augmented", "speed", "both")

AUGMENTATION = (
    "data.scale=[0.4, 1.0]",
    "data.aspect=[0.75, 1.333]",
    "data.grey=0.5",
    "data.gain=1.8",
)
"""The augmentation (docs/guides/augmentation.md), of which differences of frames also get ``POLARITY``."""

POLARITY = "data.polarity=true"

SPEEDS = (1, 2, 4)
"""The speeds of 16 and 32 frames; those of the demo's and of 64 frames are lower, because a clip must fit."""

DEMO_SPEEDS = (1, 2, 3)
"""The demo's speeds: at speed 3, its 8 differences at stride 2 span 49 of the 64 or 68 frames of a video."""


def is_augmented(recipe: Recipe) -> bool:
    """Return whether a recipe augments the clips, in pre-training and in fine-tuning."""
    return recipe in ("augmented", "both")


def has_speeds(recipe: Recipe) -> bool:
    """Return whether a recipe also classifies the playback speed in pre-training."""
    return recipe in ("speed", "both")


def recipe_overrides(
    recipe: Recipe, stage: Stage, modality: Modality, speeds: Sequence[int] = SPEEDS
) -> list[str]:
    """Return the ``key=value`` overrides that make a config of the paper's recipe one of another.

    Args:
        recipe: The recipe.
        stage: Fine-tuning has no speeds.
        modality: Only differences of frames have a polarity.
        speeds: Multiples of ``data.stride``.
    """
    overrides = []
    if is_augmented(recipe):
        overrides += [*AUGMENTATION, *([POLARITY] if modality == "dif" else [])]
    if has_speeds(recipe) and stage == "pretrain":
        overrides.append(f"rotation.speeds=[{', '.join(map(str, speeds))}]")
    return overrides
