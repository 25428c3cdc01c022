"""The demo's numbers as lines and tables for the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastrot.evaluation.action import ActionResult
from fastrot.evaluation.intervals import mean_of
from fastrot.evaluation.probe import ProbeResult
from fastrot.evaluation.rotation_accuracy import RotationResult
from fastrot.evaluation.speed_accuracy import SpeedResult
from fastrot.report.grid import Grid


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


def rotation_line(rotation: RotationResult) -> str:
    """Return the rotation accuracy, and that of the speed if the network classifies it too."""
    each = ", ".join(
        f"{degrees}: {100 * accuracy:.0f}"
        for degrees, accuracy in zip(rotation.degrees, rotation.per_class, strict=True)
    )
    line = (
        f"Rotation accuracy on {rotation.protocol.videos} unseen videos: "
        f"{100 * rotation.accuracy:.1f} % ({each}; chance {100 / len(rotation.degrees):.0f} %)"
    )
    if not isinstance(rotation, SpeedResult):
        return line
    speeds = ", ".join(map(str, rotation.speeds))
    line += f", at the speeds {speeds} together"
    if rotation.speed_accuracy is None:
        return line
    return (
        f"{line}; speed accuracy {100 * rotation.speed_accuracy:.1f} % "
        f"(chance {100 / len(rotation.speeds):.0f} %)"
    )


def transfer_grid(transfer: Transfer) -> Grid:
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


def probe_grid(probe: ProbeResult) -> Grid:
    """Return a table of the linear probes, block by block, next to the random network's."""
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


def summary(transfer: Transfer) -> dict[str, Any]:
    """Return the top-1 per video in % of each row: its values in the order of the seeds, and their mean."""
    return {
        row: {"values": values, **mean_of(values).plain()}
        for row, values in transfer.values("video_top1").items()
    }
