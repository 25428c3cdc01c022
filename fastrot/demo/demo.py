"""The whole method from end to end: pre-train, evaluate, fine-tune, probe, and print a small Table 2."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastrot.config import Config, load_config
from fastrot.config.builtin import find_config
from fastrot.config.recipes import DEMO_SPEEDS, Recipe, Stage, recipe_overrides
from fastrot.data.training_data import training_data
from fastrot.demo.demo_tables import Transfer, probe_grid, rotation_line, summary, transfer_grid
from fastrot.demo.videos import DemoData
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.action import score_action
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.pretext import evaluate_pretext
from fastrot.evaluation.probe import ProbeResult, probe_blocks
from fastrot.evaluation.rotation_accuracy import RotationResult
from fastrot.evaluation.trained import load_trained
from fastrot.runs.training_accuracy import training_accuracy
from fastrot.terminal.console import say, show
from fastrot.training.optim import count_steps
from fastrot.training.run import train
from pipelines.files import write_file
from pipelines.store.reading import Store

PROBE_SHOTS = 10
CLIPS_PER_VIDEO = 3

LEAST_TEST_VIDEOS = 20
"""With 20 videos, the standard error of an accuracy is up to 11 points: sqrt(0.25 / 20)."""

LEAST_STEPS = 30
"""Steps of pre-training. The smallest user set with 20 test videos yields 47 videos x 10 epochs / 16."""


@dataclass(frozen=True)
class DemoReport:
    """The results of the demo.

    ``transfer`` and ``probe`` are None if the videos have no classes. If there are too few videos, nothing is
    measured and ``shortage`` is the sentence that says so.
    """

    rotation: RotationResult | None
    transfer: Transfer | None
    probe: ProbeResult | None
    pretrain_seconds: float
    shortage: str | None = None


def run_demo(
    data: DemoData,
    out: Path,
    *,
    seeds: Sequence[int],
    overrides: Mapping[str, Sequence[str]],
    recipe: Recipe = "paper",
) -> DemoReport:
    """Run every stage and print the results; each stage resumes where an earlier demo stopped.

    With too few videos the network is pre-trained, nothing is measured, and a sentence says why.

    Args:
        data: The prepared stores.
        out: Folder of the runs and of ``results.json``.
        seeds: Seeds of the fine-tuning runs (few-shot subset, initial weights, clips).
        overrides: ``key=value`` overrides of each stage, "pretrain" and "finetune".
        recipe: The recipe of pre-training and fine-tuning, from scratch as well.

    Raises:
        FastrotError: A stage cannot run.
    """
    config = pretrain_config(data, out, overrides["pretrain"], recipe)
    shortage = too_few(data, config)
    if shortage:
        say(shortage)
    pretrained = train(config, resume=True, quiet=True, what="pretrain")
    if shortage:
        report = DemoReport(None, None, None, pretrained.seconds, shortage)
    else:
        rotation, probe = measure(data, pretrained.last)
        transfer = _transfer(data, out, pretrained.last, seeds, overrides["finetune"], recipe)
        report = DemoReport(rotation, transfer, probe, pretrained.seconds)
    plain = {"recipe": recipe, **_plain(report, data, seeds)}
    write_file(out / "results.json", json.dumps(plain, indent=1) + "\n")
    _print(report, data, recipe)
    _say_next(data, out, pretrained.last)
    return report


def pretrain_config(
    data: DemoData, out: Path, overrides: Sequence[str], recipe: Recipe = "paper"
) -> Config:
    """Return the config of the pre-training by a recipe; every recipe has its own run."""
    common = [
        f"name={_named('pretrain', recipe)}",
        f"data.store={data.pool}",
        f"data.split={data.pool_split}",
        f"out={out / 'runs'}",
    ]
    return _load("pretrain", common, overrides, recipe)


def _named(name: str, recipe: Recipe) -> str:
    return name if recipe == "paper" else f"{name}-{recipe}"


def _load(stage: Stage, common: list[str], overrides: Sequence[str], recipe: Recipe) -> Config:
    """Return the demo's config of a stage; the overrides take precedence over the recipe."""
    file = find_config(f"demo/{stage}.yaml")
    modality = load_config(file, [*common, *overrides]).data.modality
    of_recipe = recipe_overrides(recipe, stage, modality, DEMO_SPEEDS)
    return load_config(file, [*common, *of_recipe, *overrides])


def too_few(data: DemoData, config: Config) -> str | None:
    """Return a sentence if there are too few videos for meaningful accuracies, else None."""
    tests = len(Store.open(data.labelled).select(data.test_split))
    steps = count_steps(config.train, training_data(config).videos)
    if tests >= LEAST_TEST_VIDEOS and steps >= LEAST_STEPS:
        return None
    return (
        f"Too few videos to measure accuracies: {tests} test videos "
        f"(at least {LEAST_TEST_VIDEOS} are needed) and {steps} steps of pre-training "
        f"(at least {LEAST_STEPS}). The network is pre-trained, but nothing is measured. "
        "About 70 videos are enough."
    )


def measure(data: DemoData, pretrained: Path) -> tuple[RotationResult, ProbeResult | None]:
    """Measure the rotation accuracy, and probe the features if there are classes.

    Raises:
        FastrotError: The checkpoint or too many videos are unreadable.
    """
    with Runtime.start() as runtime:
        network = load_trained(pretrained, runtime)
        labelled = Store.open(data.labelled)
        clips = ClipSet(labelled, data.test_split, quiet=True)
        rotation = evaluate_pretext(network, clips, runtime)
        assert isinstance(rotation, RotationResult), "the demo classifies rotations"
        say(rotation_line(rotation))
        if not data.has_actions:
            return rotation, None
        shots = min(PROBE_SHOTS, _fewest(labelled, data.train_split))
        probe = probe_blocks(network, clips, data.train_split, runtime, shots=shots)
    return rotation, probe


def _transfer(
    data: DemoData,
    out: Path,
    pretrained: Path,
    seeds: Sequence[int],
    overrides: Sequence[str],
    recipe: Recipe,
) -> Transfer | None:
    """Fine-tune from scratch and from the pre-trained weights, in pairs with the same seed and subset."""
    if not data.has_actions:
        return None
    results: dict[str, list[Any]] = {
        "scratch": [],
        "ours": [],
        "train_scratch": [],
        "train_ours": [],
    }
    clips = ClipSet(Store.open(data.labelled), data.test_split, CLIPS_PER_VIDEO, quiet=True)
    config = None
    for seed in seeds:
        for row, init in (("scratch", "scratch"), ("ours", str(pretrained))):
            name = _named(f"finetune-{row}-{seed}", recipe)
            config = _finetune_config(data, out, name, init, seed, overrides, recipe)
            trained = train(config, resume=True, quiet=True, what=f"finetune, {row}, seed {seed}")
            accuracy = training_accuracy(trained.folder)
            assert accuracy is not None, "every run logs its last step"
            results[f"train_{row}"].append(accuracy)
            with Runtime.start() as runtime:
                network = load_trained(trained.last, runtime)
                results[row].append(score_action(network, clips, runtime)[0])
    assert config is not None
    return Transfer(config.data.shots, **results)


def _finetune_config(
    data: DemoData,
    out: Path,
    name: str,
    init: str,
    seed: int,
    overrides: Sequence[str],
    recipe: Recipe,
) -> Config:
    shots = load_config(find_config("demo/finetune.yaml")).data.shots
    shots = min(shots, _fewest(Store.open(data.labelled), data.train_split))
    common = [
        f"name={name}",
        f"init={init}",
        f"seed={seed}",
        f"out={out / 'runs'}",
        f"data.store={data.labelled}",
        f"data.split={data.train_split}",
        f"data.shots={shots}",
    ]
    return _load("finetune", common, overrides, recipe)


def _fewest(store: Store, split: str) -> int:
    """Return the number of videos in the smallest class of a split."""
    counts = np.bincount(store.labels[store.select(split)], minlength=len(store.classes))
    return int(counts[counts > 0].min())


def _print(report: DemoReport, data: DemoData, recipe: Recipe) -> None:
    say(f"\nData: {data.about}")
    if recipe != "paper":
        say(f"Recipe: {recipe}, of scratch too; ours, not the paper's (docs/recipes.md)")
    if report.shortage or report.rotation is None:
        say(f"{report.shortage}")
        return
    say(rotation_line(report.rotation))
    if report.transfer is None or report.probe is None:
        say(
            "The videos have no classes, so there is no transfer to measure. To add classes, put the "
            "videos of each class in a folder of their own."
        )
        return
    show(transfer_grid(report.transfer).to_rich())
    show(probe_grid(report.probe).to_rich())


def _say_next(data: DemoData, out: Path, pretrained: Path) -> None:
    """Print commands that use the results of the demo."""
    features = ["features", pretrained, "--store", data.labelled, "--out", out / "features.npz"]
    report = ["report", pretrained.parents[1], "--out", out / "report.html"]
    say("\nNext steps: extract the features of every video, and write a report of the training:")
    for command in (features, report):
        say(f"  {shlex.join(['fastrot', *map(str, command)])}")


def _plain(report: DemoReport, data: DemoData, seeds: Sequence[int]) -> dict[str, Any]:
    plain_data = {
        key: str(value) if isinstance(value, Path) else value for key, value in asdict(data).items()
    }
    return {
        "data": plain_data,
        "seeds": list(seeds),
        **asdict(report),
        "summary": None if report.transfer is None else summary(report.transfer),
    }
