"""The chart of a run: our loader and the others on the same files, grouped by codec."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastrot.runs.plots import new_figure, write_figure

OURS, PEER = "#3b6fb6", "#d98c3f"
WIDTH, ROW = 6.0, 0.29
"""Inches. At this width the text is legible on a phone too."""

TEXT = 11.0
"""Points."""

ROOM = 1.75
"""The end of the axis: what is written at a bar as long as ours has room."""


@dataclass(frozen=True)
class Bar:
    """A loader's rate.

    Attributes:
        label: The loader.
        rate: Clips per second.
        share: Of our rate with the same codec.
        spread: Share of our rate by which the first quartile is below and the third above.
        times: How many times our loader is as fast, if it was compared.
    """

    label: str
    rate: float
    share: float
    spread: tuple[float, float]
    times: float | None

    @property
    def text(self) -> str:
        """What is written at the bar."""
        rate = f"{self.rate:,.0f}/s"
        return rate if self.times is None else f"{rate}, {self.times:.1f}×"


def groups(results: Sequence[Mapping[str, Any]]) -> dict[str, list[Bar]]:
    """Return the bars of each codec, ours first, then the fastest; empty if no loaders were compared."""
    found: dict[str, list[Bar]] = {}
    for result in results:
        cases = {case["name"]: case for case in result["cases"]}
        by_ours: dict[str, list[Mapping[str, Any]]] = {}
        for ratio in result.get("ratios", []):  # results of earlier versions have none
            by_ours.setdefault(ratio["above"], []).append(ratio)
        for name, ratios in by_ours.items():
            ours = cases[name]
            peers = [_bar(cases[each["below"]], ours, each["value"]) for each in ratios]
            peers.sort(key=lambda bar: bar.rate, reverse=True)
            found[ours["facts"]["codec"]] = [_bar(ours, ours, None), *peers]
    return found


def draw(results: Sequence[Mapping[str, Any]], path: Path) -> bool:
    """Write the chart, and return whether there is one: it needs loaders that were compared.

    Raises:
        FastrotError: Matplotlib is not installed, or the file cannot be written.
    """
    found = groups(results)
    if not found:
        return False
    rows = sum(len(bars) + 1 for bars in found.values())
    figure = new_figure(WIDTH, rows * ROW + 1.3)
    axis = figure.subplots()
    labels, places = [], []
    top = 0
    for codec, bars in found.items():
        labels.append(codec)
        places.append(top)
        for at, bar in enumerate(bars, top + 1):
            colour = PEER if at > top + 1 else OURS
            spread = [[bar.spread[0]], [bar.spread[1]]]
            axis.barh(at, bar.share, xerr=spread, color=colour, height=0.75)
            axis.text(bar.share + bar.spread[1] + 0.03, at, bar.text, va="center", fontsize=TEXT)
            labels.append(bar.label)
            places.append(at)
        top += len(bars) + 1
    axis.set_yticks(places, labels, fontsize=TEXT)
    for label in axis.get_yticklabels():
        if label.get_text() in found:
            label.set_fontweight("bold")
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", labelsize=TEXT)
    axis.set_ylim(top - 0.4, -0.7)  # the first bar at the top
    axis.set_xlim(0, max(ROOM, max(bar.share for bars in found.values() for bar in bars) + 0.75))
    axis.set_xticks([0, 0.5, 1])
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.set_xlabel("clips per second; fastrot with the same codec is 1", fontsize=TEXT)
    figure.suptitle(
        "Loading clips: ×, how many times as fast fastrot is", fontsize=TEXT + 1, x=0.02, ha="left"
    )
    write_figure(figure, path)
    return True


def _bar(case: Mapping[str, Any], ours: Mapping[str, Any], times: float | None) -> Bar:
    rate, whole = case["figures"]["clips_per_s"], ours["figures"]["clips_per_s"]["median"]
    median = rate["median"]
    spread = ((median - rate["q1"]) / whole, (rate["q3"] - median) / whole)
    return Bar(case["facts"]["by"], median, median / whole, spread, times)
