"""The cases of the cheap-cues benchmark, and its results as a Markdown table and a figure."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from fastrot.demo.demo import spread
from fastrot.evaluation.intervals import mean_of
from fastrot.report.grid import Grid
from fastrot.runs.plots import new_figure, write_figure
from fastrot.synthetic.film import CameraMotion

Input = Literal["dif", "rgb", "compensated"]
"""What the network sees; compensated is DIF with `REMEDY`."""

REMEDY = ("data.camera_motion=remove", "data.dead_zone=16")


@dataclass(frozen=True)
class Case:
    """One row of the table: a demo set and its kind of input."""

    camera: CameraMotion
    horizon: bool
    input: Input

    @property
    def changes(self) -> list[str]:
        """The changes to a config that give its clips this kind of input."""
        if self.input == "compensated":
            return ["data.modality=dif", *REMEDY]
        return [f"data.modality={self.input}"]

    @property
    def combination(self) -> str:
        """The name of the demo set, such as ``moving-horizon``."""
        return f"{self.camera}-{'horizon' if self.horizon else 'plain'}"

    @property
    def key(self) -> str:
        """The name of the case, such as ``moving-horizon-dif``."""
        return f"{self.combination}-{self.input}"


CASES = tuple(
    Case(camera, horizon, seen)
    for camera in get_args(CameraMotion)
    for horizon in (False, True)
    for seen in get_args(Input)
)
COMBINATIONS = tuple(dict.fromkeys(case.combination for case in CASES))


_NAMES = {"dif": "DIF", "rgb": "RGB", "compensated": "DIF, camera motion removed"}
_MARKERS = {"dif": ("o", "-"), "rgb": ("s", "--"), "compensated": ("^", ":")}


def _label(case: Mapping[str, Any]) -> str:
    scene = "horizon" if case["horizon"] else "plain"
    return f"{case['camera']}, {scene}, {_NAMES[case['input']]}"


def gains(case: Mapping[str, Any]) -> list[float]:
    """Return the points by which fine-tuning beats training from scratch, for each seed."""
    return [ours - none for none, ours in zip(case["scratch"], case["ours"], strict=True)]


def table(results: Mapping[str, Any]) -> str:
    """Return the conditions, then the measured cases as a Markdown table in the order of ``CASES``."""
    measured = [results["cases"][case.key] for case in CASES if case.key in results["cases"]]
    header = ["camera, scene, input", "rotation", "scratch", "ours", "gain"]
    rows = [
        [
            _label(case),
            f"{case['rotation']:.1f}",
            spread(case["scratch"]),
            spread(case["ours"]),
            spread(gains(case), sign="+"),
            _probed(case, "layer2"),
            _probed(case, "layer4"),
        ]
        for case in measured
    ]
    notes = [_conditions(results["settings"], measured[0])] if measured else []
    grid = Grid("Cheap cues", [*header, "probe layer2", "probe layer4"], rows, notes)
    return grid.to_markdown()


def _probed(case: Mapping[str, Any], block: str) -> str:
    """Return the top-1 of a block's probe, and its lead over a random network: "41.0 (-2.5)"."""
    at = case["blocks"].index(block)
    ours, none = case["probe"][at], case["probe_random"][at]
    return f"{ours:.1f} ({ours - none:+.1f})"


def _conditions(settings: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    return (
        f"In %, all on {case['rotation_videos']} videos of unseen subjects and scenes: rotation of one clip "
        f"(chance 25); action top-1 per video (chance 8.3) after fine-tuning on {case['shots']} videos a "
        f"class, mean +- half of the 95 % confidence interval over {len(case['ours'])} paired seeds; linear "
        f"probes of frozen features, and in brackets their lead over a random network's. Pre-trained on "
        f"{settings['unlabelled']} videos for {settings['epochs']:g} epochs."
    )


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Draw the gain against the rotation accuracy, and the probes' lead by block.

    Raises:
        FastrotError: Matplotlib is not installed, or the file cannot be written.
    """
    colours = dict(
        zip(COMBINATIONS, ("tab:green", "tab:olive", "tab:blue", "tab:red"), strict=True)
    )
    figure = new_figure(10, 4.8)
    transfer, probe = figure.subplots(1, 2)
    for case in CASES:
        if case.key not in results["cases"]:
            continue
        found = results["cases"][case.key]
        marker, line = _MARKERS[case.input]
        style = {"color": colours[case.combination], "label": _label(found)}
        transfer.errorbar(
            found["rotation"],
            statistics.fmean(gains(found)),
            yerr=mean_of(gains(found)).half_width or 0.0,
            marker=marker,
            markerfacecolor="none" if case.input == "rgb" else style["color"],
            linestyle="none",
            capsize=3,
            **style,
        )
        lead = [a - b for a, b in zip(found["probe"], found["probe_random"], strict=True)]
        probe.plot(found["blocks"], lead, linestyle=line, **style)
    transfer.set_xlabel("rotation accuracy on unseen scenes, %")
    transfer.set_ylabel("gain of fine-tuning over scratch, points")
    probe.set_ylabel("linear probe's lead over a random network, points")
    for axes in (transfer, probe):
        axes.axhline(0, color="grey", linewidth=0.8)
    handles, labels = transfer.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    write_figure(figure, path)
