"""Draw docs/data_path.svg, the data path: python docs/data_path.py [OUT]."""

import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "fastrot", "font.size": 13})

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.patches import FancyBboxPatch  # noqa: E402

EDGE = "#444444"
WIDTH, GAP, HEIGHT = 2.2, 1.0, 1.0


@dataclass(frozen=True)
class Station:
    """A box: its name and what happens in it."""

    name: str
    does: str


ROWS = (
    (
        "Once: fastrot prepare",
        "#cfe0f3",
        (
            Station("videos", "any format that\nFFmpeg reads"),
            Station("prepare", "136x136 frames,\nin parallel"),
            Station("store", "a few large files"),
        ),
    ),
    (
        "At every training step: fastrot pretrain",
        "#d3ecd0",
        (
            Station("load", "read 16 frames,\ndecode, crop, flip"),
            Station("rotate", "0, 90, 180, 270\ndegrees"),
            Station("3D ResNet", "mixed precision,\nDDP"),
            Station("rotation?", "the label comes\nfor free"),
        ),
    ),
)


def draw_row(axes: Axes, bottom: float, title: str, colour: str, row: tuple[Station, ...]) -> None:
    """Draw one row of boxes with arrows between them."""
    axes.text(0, bottom + HEIGHT + 0.14, title, weight="bold", va="bottom")
    for i, station in enumerate(row):
        left = i * (WIDTH + GAP * 0.45)
        box = FancyBboxPatch(
            *((left, bottom), WIDTH, HEIGHT),
            boxstyle="round,pad=0.02,rounding_size=0.08",
            facecolor=colour,
            edgecolor=EDGE,
        )
        axes.add_patch(box)
        middle = left + WIDTH / 2
        axes.text(
            middle,
            bottom + 0.76,
            station.name,
            ha="center",
            va="center",
            weight="bold",
            fontsize=15,
        )
        axes.text(middle, bottom + 0.34, station.does, ha="center", va="center", linespacing=1.25)
        if i + 1 < len(row):
            start = left + WIDTH + 0.04
            axes.annotate(
                *("", (start + GAP * 0.4, bottom + HEIGHT / 2), (start, bottom + HEIGHT / 2)),
                arrowprops={"arrowstyle": "-|>", "color": EDGE, "linewidth": 1.5},
            )


def draw(out: Path) -> None:
    """Write the picture."""
    figure, axes = plt.subplots(figsize=(11, 3.6))
    figure.patch.set_facecolor("white")
    for i, (title, colour, row) in enumerate(ROWS):
        draw_row(axes, -1.65 * i, title, colour, row)
    axes.set_xlim(-0.1, 4 * WIDTH + 3 * GAP * 0.45 + 0.1)
    axes.set_ylim(-1.75, 1.5)
    axes.axis("off")
    figure.savefig(out, bbox_inches="tight", pad_inches=0.1, metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".svg"))
