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
from fastrot.data.training_data import training_data
from fastrot.demo.videos import DemoData
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.action import ActionResult, score_action
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.intervals import mean_of
from fastrot.evaluation.probe import ProbeResult, probe_blocks
from fastrot.evaluation.rotation_accuracy import RotationResult, evaluate_rotation
from fastrot.evaluation.trained import load_trained
from fastrot.report.grid import Grid
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
class Transfer:
    """The two rows of the table: one evaluation per seed, in the order of the seeds.

    ``train_scratch`` and ``train_ours`` are the last training accuracies of the same networks in %.
    """

    shots: int
    scratch: list[ActionResult]
    ours: list[ActionResult]
    train_scratch: list[float]
    train_ours: list[float]

    def values(self, key: str) -> dict[str, list[float]]:
        """Return an accuracy in % for each seed: from scratch, ours, and the difference of each pair."""
        scratch, ours = (
            [100 * float(getattr(result, key)) for result in results]
            for results in (self.scratch, self.ours)
        )
        pairs = [mine - other for mine, other in zip(ours, scratch, strict=True)]
        return {"scratch": scratch, "ours": ours, "difference": pairs}


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
    data: DemoData, out: Path, *, seeds: Sequence[int], overrides: Mapping[str, Sequence[str]]
) -> DemoReport:
    """Run every stage and print the results; each stage resumes where an earlier demo stopped.

    With too few videos the network is pre-trained, nothing is measured, and a sentence says why.

    Args:
        data: The prepared stores.
        out: Folder of the runs and of ``results.json``.
        seeds: Seeds of the fine-tuning runs (few-shot subset, initial weights, clips).
        overrides: ``key=value`` overrides of each stage, "pretrain" and "finetune".

    Raises:
        FastrotError: A stage cannot run.
    """
    config = _pretrain_config(data, out, overrides["pretrain"])
    shortage = _shortage(data, config)
    if shortage:
        say(shortage)
    pretrained = train(config, resume=True, quiet=True, what="pretrain")
    if shortage:
        report = DemoReport(None, None, None, pretrained.seconds, shortage)
    else:
        rotation, probe = _measure(data, pretrained.last)
        transfer = _transfer(data, out, pretrained.last, seeds, overrides["finetune"])
        report = DemoReport(rotation, transfer, probe, pretrained.seconds)
    write_file(out / "results.json", json.dumps(_plain(report, data, seeds), indent=1) + "\n")
    _print(report, data)
    _say_next(data, out, pretrained.last)
    return report


def _pretrain_config(data: DemoData, out: Path, overrides: Sequence[str]) -> Config:
    return load_config(
        find_config("demo/pretrain.yaml"),
        [
            f"data.store={data.pool}",
            f"data.split={data.pool_split}",
            f"out={out / 'runs'}",
            *overrides,
        ],
    )


def _shortage(data: DemoData, config: Config) -> str | None:
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


def _measure(data: DemoData, pretrained: Path) -> tuple[RotationResult, ProbeResult | None]:
    """Measure the rotation accuracy, and probe the features if there are classes."""
    with Runtime.start() as runtime:
        network = load_trained(pretrained, runtime)
        labelled = Store.open(data.labelled)
        clips = ClipSet(labelled, data.test_split, quiet=True)
        rotation = evaluate_rotation(network, clips, runtime)
        say(_rotation_line(rotation))
        if not data.has_actions:
            return rotation, None
        shots = min(PROBE_SHOTS, _fewest(labelled, data.train_split))
        probe = probe_blocks(network, clips, data.train_split, runtime, shots=shots)
    return rotation, probe


def _transfer(
    data: DemoData, out: Path, pretrained: Path, seeds: Sequence[int], overrides: Sequence[str]
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
            config = _finetune_config(data, out, f"finetune-{row}-{seed}", init, seed, overrides)
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
    data: DemoData, out: Path, name: str, init: str, seed: int, overrides: Sequence[str]
) -> Config:
    file = find_config("demo/finetune.yaml")
    shots = min(load_config(file).data.shots, _fewest(Store.open(data.labelled), data.train_split))
    common = [
        f"name={name}",
        f"init={init}",
        f"seed={seed}",
        f"out={out / 'runs'}",
        f"data.store={data.labelled}",
        f"data.split={data.train_split}",
        f"data.shots={shots}",
    ]
    return load_config(file, [*common, *overrides])


def _fewest(store: Store, split: str) -> int:
    """Return the number of videos in the smallest class of a split."""
    counts = np.bincount(store.labels[store.select(split)], minlength=len(store.classes))
    return int(counts[counts > 0].min())


def _print(report: DemoReport, data: DemoData) -> None:
    say(f"\nData: {data.about}")
    if report.shortage or report.rotation is None:
        say(f"{report.shortage}")
        return
    say(_rotation_line(report.rotation))
    if report.transfer is None or report.probe is None:
        say(
            "The videos have no classes, so there is no transfer to measure. To add classes, put the "
            "videos of each class in a folder of their own."
        )
        return
    show(_transfer_grid(report.transfer).to_rich())
    show(_probe_grid(report.probe).to_rich())


def _say_next(data: DemoData, out: Path, pretrained: Path) -> None:
    """Print commands that use the results of the demo."""
    features = ["features", pretrained, "--store", data.labelled, "--out", out / "features.npz"]
    report = ["report", pretrained.parents[1], "--out", out / "report.html"]
    say("\nNext steps: extract the features of every video, and write a report of the training:")
    for command in (features, report):
        say(f"  {shlex.join(['fastrot', *map(str, command)])}")


def _rotation_line(rotation: RotationResult) -> str:
    each = ", ".join(
        f"{degrees}: {100 * accuracy:.0f}"
        for degrees, accuracy in zip(rotation.degrees, rotation.per_class, strict=True)
    )
    return (
        f"Rotation accuracy on {rotation.protocol.videos} unseen videos: "
        f"{100 * rotation.accuracy:.1f} % ({each}; chance {100 / len(rotation.degrees):.0f} %)"
    )


def _transfer_grid(transfer: Transfer) -> Grid:
    """Return a table like Table 2: scratch, ours and the difference, per clip and per video."""
    protocol = transfer.ours[0].protocol
    clip, video = transfer.values("clip_top1"), transfer.values("video_top1")
    names = {"scratch": "3D ResNet (scratch)", "ours": "3DRotNet (pre-trained on rotations)"}
    train = {"scratch": transfer.train_scratch, "ours": transfer.train_ours}
    rows = [
        [name, spread(clip[row]), spread(video[row]), f"{mean_of(train[row]).mean:.1f}"]
        for row, name in names.items()
    ]
    rows.append(
        ["difference", *(spread(each["difference"], sign="+") for each in (clip, video)), ""]
    )
    seeds = ", ".join(f"{value:+.1f}" for value in video["difference"])
    return Grid(
        f"Action recognition, {transfer.shots} labelled videos per class, all weights trained",
        ["Models", "per clip", "per video", "train"],
        rows,
        [
            f"top-1 in %, mean +- half of the 95 % confidence interval over {len(transfer.ours)} seeds, "
            f"whose differences per video are {seeds}; {protocol.videos} "
            f"test videos, {protocol.clips_per_video} clips each, {protocol.frames} {protocol.input} frames "
            f"at stride {protocol.stride}, centre crop {protocol.crop} of {protocol.size}; train: last "
            "training accuracy; all seeds start from one pre-training"
        ],
    )


def _probe_grid(probe: ProbeResult) -> Grid:
    blocks = zip(probe.blocks, probe.random, probe.trained, probe.differences(), strict=True)
    return Grid(
        f"Linear probe of frozen features, {probe.train_videos} labelled videos",
        ["features of", "random network", "3DRotNet", "difference"],
        [
            [
                block,
                f"{100 * none:.1f}",
                f"{100 * ours:.1f}",
                difference.text(sign="+", between="+-"),
            ]
            for block, none, ours, difference in blocks
        ],
        [
            f"top-1 per video in %, {probe.protocol.videos} test videos, 1 centre clip each; +- covers the "
            "test videos"
        ],
    )


def spread(values: Sequence[float], sign: str = "") -> str:
    """Return the mean +- half of its 95 % confidence interval, or only the mean of a single value."""
    return mean_of(values).text(sign=sign, between="+-")


def _plain(report: DemoReport, data: DemoData, seeds: Sequence[int]) -> dict[str, Any]:
    plain_data = {
        key: str(value) if isinstance(value, Path) else value for key, value in asdict(data).items()
    }
    return {
        "data": plain_data,
        "seeds": list(seeds),
        **asdict(report),
        "summary": None if report.transfer is None else _summary(report.transfer),
    }


def _summary(transfer: Transfer) -> dict[str, Any]:
    """Return the top-1 per video in % of each row: its values in the order of the seeds, and their mean."""
    return {
        row: {"values": values, **mean_of(values).plain()}
        for row, values in transfer.values("video_top1").items()
    }
