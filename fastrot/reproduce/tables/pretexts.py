"""``pretexts``: recipes of pre-training beyond the paper, which may fail (ours, not the paper's).

The paper's recipe, augmented clips, the playback speed, and both: fine-tuned on few labels, each compared
with training from scratch by the same recipe and length, and probed block by block. The main comparison was
named before anything was run (``MAIN``); all others are exploratory.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from fastrot.config.recipes import (
    DEMO_SPEEDS,
    RECIPES,
    SPEEDS,
    Recipe,
    Stage,
    is_augmented,
    recipe_overrides,
)
from fastrot.evaluation.features import BLOCKS
from fastrot.reproduce.presets import Preset
from fastrot.reproduce.run_plan import Difference, Entry, Reading, Table, TrainRun
from fastrot.reproduce.variants import Variant

SHOTS = 5
PAIRS = ((1, 0), (2, 1), (3, 2), (1, 3), (2, 4))
"""Split and seed of each pair of runs."""

PRETRAININGS = 2
"""Pre-trainings of each kind; the pairs take them in turn."""

AGAINST_SCRATCH = "training from scratch by the same recipe, with the same split and seed"
OURS = "Ours, not the paper's, except the recipe `paper`; the numbers of the recipes are not tuned."


@dataclass(frozen=True)
class Scene:
    """Videos to train on, and how they are read.

    Attributes:
        name: Its name in the rows.
        store: Ending of its stores' names.
        overrides: Overrides of pre-training and fine-tuning.
        lengths: How many of the lengths of fine-tuning it has.
    """

    name: str
    store: str = ""
    overrides: tuple[str, ...] = ()
    lengths: int = 1


REMOVED = Scene("moving, camera motion removed", "-moving", ("data.camera_motion=remove",))
SCENES = {
    "demo": (
        Scene("static", lengths=2),
        Scene("horizon", "-horizon"),
        Scene("moving", "-moving"),
        REMOVED,
    ),
    "paper": (Scene("UCF101", lengths=2),),
}
"""The scenes of each preset; the first one has the main comparison."""

LENGTHS = {"demo": {60: 225, 180: 675}, "paper": {100: 100, 300: 300}}
"""Epochs of fine-tuning and, as in ``Preset.budgets``, their length: steps of 16 of the demo's 60 videos."""

MAIN: Recipe = "augmented"
"""The main comparison: its gain minus that of the paper's recipe, first scene, shortest length."""


@dataclass(frozen=True)
class _Arm:
    """Fine-tunings of one scene and length, from pre-training by a recipe or from scratch.

    Attributes:
        scene: The videos.
        epochs: Length of fine-tuning.
        recipe: The recipe, of scratch as well.
    """

    scene: Scene
    epochs: int
    recipe: Recipe

    @property
    def place(self) -> str:
        return f"{self.scene.name}, {self.epochs} epochs"


def pretexts(preset: Preset) -> Table:
    """Fine-tuning on few labels from scratch and from each recipe's pre-training."""
    entries = []
    for arm in _arms(preset):
        scratch, ours = _top1(preset, arm, scratch=True), _top1(preset, arm)
        chance = preset.chance("ucf101")
        if arm.recipe in ("paper", "augmented"):  # the others share these runs
            name = "scratch" if arm.recipe == "paper" else "scratch, augmented"
            entries.append(Entry(f"{arm.place}: {name}", "Top-1", None, scratch, chance=chance))
        entries.append(
            Entry(f"{arm.place}: {arm.recipe}", "Top-1", None, ours, scratch, chance=chance)
        )
    return Table(
        "pretexts",
        "Pretexts beyond the paper: few labels",
        entries,
        against=AGAINST_SCRATCH,
        notes=(
            OURS,
            f"{SHOTS} labelled videos per class; all weights are trained. `augmented` and `both` are "
            "fine-tuned with the augmentation of their pre-training, `paper` and `speed` without.",
            *_pairs_note(),
        ),
    )


def compared(preset: Preset) -> Table:
    """The gain and the accuracy of each recipe minus those of the paper's."""
    entries = []
    main = True
    for arm in _arms(preset):
        if arm.recipe == "paper":
            continue
        paper = _Arm(arm.scene, arm.epochs, "paper")
        row = f"{arm.place}: {arm.recipe}"
        if main and arm.recipe == MAIN:
            row += " (main comparison)"
            main = False
        gains = _gains(preset, arm), _gains(preset, paper)
        entries.append(Entry(row, "Gain over scratch", None, *gains))
        if is_augmented(
            arm.recipe
        ):  # `speed` shares the scratch of `paper`: both differences are one
            top1 = _top1(preset, arm), _top1(preset, paper)
            entries.append(Entry(row, "Top-1", None, *top1, chance=preset.chance("ucf101")))
    return Table(
        "pretexts-compared",
        "Pretexts beyond the paper: compared with the paper's recipe",
        entries,
        against="the recipe `paper`, with the same split and seed",
        notes=(
            OURS,
            f"The main comparison, named before the run, is the gain over scratch of `{MAIN}` minus that of "
            "`paper`, on the first scene at the shorter length. All other rows and columns are exploratory: "
            "of twenty comparisons without an effect, about one has an interval without 0.",
            "A gain is over scratch by the same recipe and length; train: the lower training accuracy of the "
            "two.",
            *_pairs_note(),
        ),
    )


def probed(preset: Preset) -> Table:
    """Rotation accuracy, and linear probes of every block compared with a random network."""
    entries = []
    for scene in SCENES[preset.name]:
        store = f"ucf101{scene.store}"
        for recipe in RECIPES:
            row = f"{scene.name}: {recipe}"
            networks = [_pretraining(preset, scene, recipe, s) for s in range(PRETRAININGS)]
            rotation = tuple(_rotation(preset, network, store) for network in networks)
            probes = [
                preset.features(
                    "probe", networks[pair % PRETRAININGS], store, split=split, shots=SHOTS
                )
                for pair, (split, _) in enumerate(PAIRS)
            ]
            for at, block in enumerate(BLOCKS):
                ours, random = (
                    tuple(Reading(probe, network, at) for probe in probes)
                    for network in ("trained", "random")
                )
                if recipe == "paper":  # an untrained network has no recipe
                    entries.append(Entry(f"{scene.name}: random network", block, None, random))
                entries.append(Entry(row, block, None, ours, random))
            entries.append(Entry(row, "Rotation accuracy", None, rotation, chance=25.0))
    return Table(
        "pretexts-probe",
        "Pretexts beyond the paper: linear probes of frozen features",
        entries,
        against="the random network, with the same split and seed",
        notes=(
            OURS,
            f"Probes on {SHOTS} labelled videos per class; chance {preset.chance('ucf101'):.1f}. Whoever "
            "picks the best of five blocks on the test videos picks some luck, too.",
            "Rotation accuracy: test videos of split 1, one centre clip each, of networks with speeds at "
            "the slowest one.",
            *_pairs_note(),
        ),
    )


def _pairs_note() -> tuple[str, str]:
    return (
        f"{len(PAIRS)} pairs of split and seed. The {PRETRAININGS} pre-trainings of each kind take turns: "
        "pairs that share one are not independent, and two are too few to estimate how they differ, so ± "
        "may be too narrow. The JSON has every pair.",
        "Pre-training has the same number of clips in all recipes.",
    )


def _arms(preset: Preset) -> Iterator[_Arm]:
    for scene in SCENES[preset.name]:
        for epochs in list(LENGTHS[preset.name])[: scene.lengths]:
            # Next to each other, what is compared with one scratch.
            for recipe in sorted(RECIPES, key=is_augmented):
                yield _Arm(scene, epochs, recipe)


def _variant(preset: Preset, scene: Scene, recipe: Recipe, stage: Stage) -> Variant:
    speeds = DEMO_SPEEDS if preset.name == "demo" else SPEEDS
    overrides = recipe_overrides(recipe, stage, preset.modality, speeds)
    name = "-removed" if scene.overrides else ""
    if overrides:
        name += f"-{recipe if stage == 'pretrain' else 'augmented'}"
    return Variant(name, scene.store, (*scene.overrides, *overrides))


def _pretraining(preset: Preset, scene: Scene, recipe: Recipe, seed: int) -> TrainRun:
    return preset.pretrain(
        "kinetics", seed=seed, variant=_variant(preset, scene, recipe, "pretrain")
    )


def _top1(preset: Preset, arm: _Arm, *, scratch: bool = False) -> tuple[Reading, ...]:
    """Return the accuracies of an arm, or of training from scratch by its recipe, pair by pair."""
    starts = [_pretraining(preset, arm.scene, arm.recipe, seed) for seed in range(PRETRAININGS)]
    return tuple(
        preset.top1(
            preset.finetune(
                "ucf101",
                None if scratch else starts[pair % PRETRAININGS],
                split=split,
                shots=SHOTS,
                seed=seed,
                budget=LENGTHS[preset.name][arm.epochs],
                variant=_variant(preset, arm.scene, arm.recipe, "finetune"),
            )
        )
        for pair, (split, seed) in enumerate(PAIRS)
    )


def _gains(preset: Preset, arm: _Arm) -> tuple[Reading, ...]:
    """Return the gains of an arm over training from scratch by its recipe, pair by pair."""
    pairs = zip(_top1(preset, arm), _top1(preset, arm, scratch=True), strict=True)
    return tuple(
        Reading(Difference(*ours.measurements, *scratch.measurements), ours.key)
        for ours, scratch in pairs
    )


def _rotation(preset: Preset, network: TrainRun, store: str) -> Reading:
    """Return the rotation accuracy at ``data.stride``, at which networks without speeds are measured too."""
    if not network.config.rotation.speeds:
        return preset.rotation_accuracy(network, store, "test1")
    measurement = preset.rotation_accuracy(network, store, "test1").measurements[0]
    return Reading(measurement, "rotation_per_speed", 0)
