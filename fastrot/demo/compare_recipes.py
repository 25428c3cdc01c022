"""``fastrot demo --recipe all``: each recipe's pre-training, probed block by block on the user's classes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from fastrot.config import Config
from fastrot.config.recipes import RECIPES, Recipe
from fastrot.data.loaders import training_spec
from fastrot.demo.demo import measure, pretrain_config, too_few
from fastrot.demo.videos import DemoData
from fastrot.evaluation.probe import ProbeResult
from fastrot.evaluation.rotation_accuracy import RotationResult
from fastrot.report.grid import Grid
from fastrot.terminal.console import say, show
from fastrot.training.run import train
from pipelines.errors import FastrotError
from pipelines.files import write_file
from pipelines.store.reading import Store

FILE = "recipes.json"

Found = Mapping[Recipe, tuple[RotationResult, ProbeResult]]


def compare_recipes(data: DemoData, out: Path, overrides: Sequence[str]) -> Found:
    """Pre-train with every recipe, probe each network, and print and write the comparison.

    Runs are those of the demo with the same recipe, and resume. A recipe with speeds is skipped if no video
    is long enough for them. With too few videos nothing is trained, and a sentence says why.

    Args:
        data: The prepared stores.
        out: Folder of the runs and of ``recipes.json``.
        overrides: ``key=value`` overrides of pre-training.

    Returns:
        The rotation accuracy and the probe of every recipe that ran.

    Raises:
        FastrotError: The videos have no classes, or a stage cannot run.
    """
    if not data.has_actions:
        raise FastrotError(
            f"the videos of {data.labelled} have no classes, so features cannot be probed: put the videos of "
            "each class in a folder of their own"
        )
    shortage = too_few(data, pretrain_config(data, out, overrides))
    found: dict[Recipe, tuple[RotationResult, ProbeResult]] = {}
    for recipe in RECIPES if shortage is None else ():
        config = pretrain_config(data, out, overrides, recipe)
        if not _fits(config):
            span = training_spec(config).span
            say(f"{recipe}: skipped, because no video has the {span} frames of its clips")
            continue
        trained = train(config, resume=True, quiet=True, what=f"pretrain, {recipe}")
        rotation, probe = measure(data, trained.last)
        assert probe is not None, "there are classes"
        found[recipe] = rotation, probe
    plain = {
        recipe: {"rotation": asdict(rotation), "probe": asdict(probe)}
        for recipe, (rotation, probe) in found.items()
    }
    values = {"about": data.about, "shortage": shortage, "recipes": plain}
    write_file(out / FILE, json.dumps(values, indent=1) + "\n")
    say(f"\nData: {data.about}")
    if shortage is None:
        show(grid(found).to_rich())
    else:
        say(shortage)
    return found


def _fits(config: Config) -> bool:
    """Return whether at least one video has room for the fastest clip, if there are speeds."""
    store = Store.open(config.data.store)
    longest = store.frames[store.select(config.data.split)].max(initial=0)
    return not config.rotation.speeds or bool(longest >= training_spec(config).span)


def grid(found: Found) -> Grid:
    """Return a table with a row for each block, and columns for the random network and every recipe."""
    probes = [probe for _, probe in found.values()]
    first = probes[0]
    rows = [
        [block, f"{100 * first.random[at]:.1f}", *(_cell(probe, at) for probe in probes)]
        for at, block in enumerate(first.blocks)
    ]
    rotations = [f"{100 * rotation.accuracy:.1f}" for rotation, _ in found.values()]
    rows.append(["rotation accuracy", "25.0 (chance)", *rotations])
    return Grid(
        f"Linear probe of frozen features, {first.train_videos} labelled videos, by recipe",
        ["features of", "random network", *found],
        rows,
        [
            f"top-1 per video in %, {first.protocol.videos} test videos, 1 centre clip each; in brackets the "
            "lead over the random network, +- half of its 95 % confidence interval over the test videos "
            "(~: it contains 0). One pre-training of each recipe: its luck is not in +-. `paper` is the "
            "paper's recipe, all others are ours (docs/recipes.md). Rotation accuracies of recipes with "
            "speeds are over the clips of all speeds."
        ],
    )


def _cell(probe: ProbeResult, at: int) -> str:
    lead = probe.differences()[at].text(sign="+", mark=True, between="+-")
    return f"{100 * probe.trained[at]:.1f} ({lead})"
