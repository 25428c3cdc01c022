"""The figure of the cheap-cues study: accuracies of the cross, and the lead of probes by block."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cheap_cues.study_plan import CLEAN, CROSS, TRAP
from benchmarks.cheap_cues.study_results import STARTS, accuracies, leads, pretrainings
from fastrot.evaluation.intervals import mean_of
from fastrot.runs.plots import new_figure, write_figure
from fastrot.synthetic.actions import ACTIONS

# Okabe and Ito's colours, which remain distinct with colour blindness; markers and lines differ as well.
_STYLES = {
    "scratch": ("#7f7f7f", "o", "nothing (scratch)"),
    TRAP.name: ("#D55E00", "^", "trap"),
    CLEAN.name: ("#0072B2", "s", "clean"),
    "supervised": ("#000000", "D", "nothing, all labels"),
}
_SEEDS = "single seeds"
_LARGE = {"fontsize": 15}


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Draw the action accuracies of the cross, and below them the probes on clean videos.

    Bars are 95 % intervals over seeds. The fonts are large, so that the figure remains
    readable at a width of 400 pixels.

    Raises:
        FastrotError: Matplotlib is not installed, or the file cannot be written.
    """
    figure = new_figure(6.4, 9)
    above, below = figure.subplots(2, 1)
    _draw_cross(above, results)
    _draw_probes(below, results)
    above.set_title("generated videos; bars: 95 % intervals", **_LARGE)
    for axes in (above, below):
        axes.tick_params(labelsize=14)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = above.get_legend_handles_labels()
    entries = {name: handle for handle, name in zip(handles, labels, strict=True)}
    entries[_SEEDS] = entries.pop(_SEEDS)  # last
    figure.legend(
        entries.values(),
        entries.keys(),
        title="pre-trained on",
        title_fontsize=14,
        fontsize=14,
        ncols=2,
        loc="outside upper center",
    )
    write_figure(figure, path)


def _draw_cross(axes: Any, results: Mapping[str, Any]) -> None:
    for number, start in enumerate(STARTS):
        places, columns = [], []
        for group, condition in enumerate(CROSS):
            found = list(accuracies(results, start, condition.name).values())
            if found:
                places.append(group + 0.18 * (number - 1.5))
                columns.append(found)
        _points(axes, start, places, columns)
        for place, found in zip(places, columns, strict=True):
            axes.plot(
                [place + 0.05] * len(found), found, "_", color=_STYLES[start][0], markersize=8
            )
    axes.plot([], [], "_", color="#000000", markersize=8, label=_SEEDS)
    chance = 100 / len(ACTIONS)
    axes.axhline(chance, color="#7f7f7f", linestyle=":", linewidth=1)
    axes.annotate("chance", (1.5, chance), ha="right", va="bottom", fontsize=12)
    axes.set_xticks(range(len(CROSS)), ["fine-tuned on\nclean", "fine-tuned on\ntrap"], **_LARGE)
    axes.set_xlim(-0.5, 1.5)
    axes.set_ylim(0, 100)
    axes.set_ylabel("action accuracy, %", **_LARGE)


def _draw_probes(axes: Any, results: Mapping[str, Any]) -> None:
    for shift, condition in zip((0.06, -0.06), CROSS, strict=True):
        found = pretrainings(results, condition, CLEAN)
        if not found:
            continue
        blocks = found[0]["blocks"]
        columns = list(zip(*map(leads, found), strict=True))
        places = [at + shift for at in range(len(blocks))]
        _points(axes, condition.name, places, columns, linestyle="--" if condition == TRAP else "-")
        axes.set_xticks(range(len(blocks)), blocks)
        axes.set_xlim(-0.3, len(blocks) - 0.3)
    axes.legend(fontsize=12, frameon=False)
    axes.axhline(0, color="#7f7f7f", linewidth=1)
    axes.set_xlabel("block", **_LARGE)
    axes.set_ylabel("probe's lead, points", **_LARGE)
    axes.set_title("linear probes on clean generated videos", **_LARGE)


def _points(
    axes: Any,
    start: str,
    places: Sequence[float],
    columns: Sequence[Sequence[float]],
    linestyle: str = "none",
) -> None:
    """Draw the mean of each column, with its interval."""
    colour, marker, name = _STYLES[start]
    axes.errorbar(
        places,
        [statistics.fmean(values) for values in columns],
        yerr=[mean_of(values).half_width or 0.0 for values in columns],
        color=colour,
        marker=marker,
        markersize=8,
        linestyle=linestyle,
        capsize=4,
        label=name,
    )
