"""Draws docs/data_path.svg, the way of the data: python docs/data_path.py [OUT]."""

import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "fastrot", "font.size": 9})

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.patches import FancyBboxPatch  # noqa: E402

COLOURS = {"disk": "#e8e4da", "CPU": "#cfe0f3", "GPU": "#d3ecd0"}
EDGE = "#444444"


@dataclass(frozen=True)
class Station:
    """A box: what it is, what happens there, where it runs, and what leaves it."""

    name: str
    does: str
    where: str
    leaves: str


STATIONS = (
    Station("videos", "anything that\nFFmpeg reads", "disk", ""),
    Station("prepare", "136x136, once,\nin parallel", "CPU", "raw, mjpeg,\nh264, vp9"),
    Station("store", "large shards,\na manifest", "disk", ""),
    Station("read", "just the bytes of\nthe planned clips", "CPU", "frames or\npackets"),
    Station("DALI", "decode, crop,\nflip, difference", "GPU", "(B,T,H,W,3)\nuint8, int16"),
    Station("rotate", "normalise, four\nturns in one pass", "GPU", "(4B,3,T,H,W)\nchannels-last"),
    Station("3D ResNet", "DDP, mixed\nprecision", "GPU", ""),
)


def draw(out: Path) -> None:
    """Write the picture."""
    width, gap, height = 1.65, 1.2, 0.8
    figure, axes = plt.subplots(figsize=(14, 2.0))
    for i, station in enumerate(STATIONS):
        left = i * (width + gap)
        axes.add_patch(
            FancyBboxPatch(
                *((left, 0), width, height),
                boxstyle="round,pad=0.02,rounding_size=0.08",
                facecolor=COLOURS[station.where],
                edgecolor=EDGE,
            )
        )
        middle = left + width / 2
        axes.text(middle, 0.62, station.name, ha="center", va="center", weight="bold")
        axes.text(middle, 0.27, station.does, ha="center", va="center", fontsize=7.5)
        if i + 1 < len(STATIONS):
            start, end = left + width + 0.06, left + width + gap - 0.06
            axes.annotate("", (end, 0.4), (start, 0.4), arrowprops={"arrowstyle": "->"})
            axes.text(
                (start + end) / 2, 0.48, station.leaves, ha="center", va="bottom", fontsize=6.6
            )
    last = (len(STATIONS) - 1) * (width + gap) + width / 2
    axes.annotate("", (last, -0.28), (last, -0.05), arrowprops={"arrowstyle": "->"})
    axes.text(last, -0.42, "which rotation?", ha="center", va="center", style="italic")
    for i, (where, colour) in enumerate(COLOURS.items()):
        label = "GPU (CPU where there is none)" if where == "GPU" else where
        axes.text(
            *(i * 0.8, -0.42, label),
            va="center",
            fontsize=7.5,
            bbox={"boxstyle": "round", "facecolor": colour, "edgecolor": EDGE, "linewidth": 0.5},
        )
    axes.set_xlim(-0.1, len(STATIONS) * (width + gap) - gap + 0.1)
    axes.set_ylim(-0.62, 1.0)
    axes.axis("off")
    figure.savefig(out, bbox_inches="tight", pad_inches=0.05, metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".svg"))
