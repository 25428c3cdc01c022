"""The chart of a run: one panel per benchmark and one bar per case.

Our cases, the peers' cases and the limits have different colours.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastrot.runs.plots import new_figure, write_figure

OURS, PEER, LIMIT = "#3b6fb6", "#d98c3f", "#9a9a9a"
BAR_INCHES = 0.27


def bars(result: Mapping[str, Any]) -> tuple[str, list[tuple[str, Mapping[str, Any], str]]]:
    """Return the name of the figure that a panel shows, and its bars, the best first.

    The panel shows the first figure of the first case that was measured. If there are several clip
    lengths, it shows only that case's length. A bar is (label, figure, colour).
    """
    measured = [case for case in result["cases"] if case["figures"]]
    if not measured:
        return "", []
    shown = next(iter(measured[0]["figures"]))
    length = measured[0]["facts"].get("frames")
    found = [
        (
            case["name"],
            case["figures"][shown],
            OURS if case["facts"].get("by") == "fastrot" else PEER,
        )
        for case in measured
        if shown in case["figures"] and case["facts"].get("frames") in (None, length)
    ]
    found += [
        (limit["name"], limit["figures"][shown], LIMIT)
        for limit in result["limits"]
        if shown in limit["figures"]
    ]
    return shown, sorted(found, key=lambda bar: bar[1]["median"], reverse=more_is_better(shown))


def more_is_better(figure: str) -> bool:
    """Return whether a figure is a rate, by the unit in its name.

    For times and memory, less is better.
    """
    return figure.endswith("_per_s")


def draw(results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the chart.

    Raises:
        FastrotError: Matplotlib is not installed, or the file cannot be written.
    """
    panels = [(result["benchmark"], *bars(result)) for result in results]
    panels = [panel for panel in panels if panel[2]]
    heights = [max(len(found), 2) * BAR_INCHES + 0.9 for _, _, found in panels] or [1.0]
    figure = new_figure(9, sum(heights) + 0.4)
    axes = figure.subplots(max(len(panels), 1), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, (name, shown, found) in zip(axes, panels, strict=False):
        medians = [one["median"] for _, one, _ in found]
        spread = [
            [one["median"] - one["q1"] for _, one, _ in found],
            [one["q3"] - one["median"] for _, one, _ in found],
        ]
        labels = [label for label, _, _ in found]
        axis.barh(labels, medians, xerr=spread, color=[colour for *_, colour in found])
        axis.invert_yaxis()  # the first bar at the top
        axis.set_title(f"{name}: {shown}", loc="left", fontsize=10)
        axis.tick_params(labelsize=8)
        if min(medians) > 0 and max(medians) > 50 * min(medians):
            axis.set_xscale("log")
    for colour, label in ((OURS, "fastrot"), (PEER, "others"), (LIMIT, "limits")):
        axes[0].plot([], [], "s", color=colour, label=label)
    figure.legend(loc="outside upper right", ncols=3, fontsize=8)
    write_figure(figure, path)
