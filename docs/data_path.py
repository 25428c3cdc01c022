"""Draw docs/data_path.svg, the data path: python docs/data_path.py [OUT]."""

import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "fastrot", "font.size": 12.5})

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.patches import FancyBboxPatch  # noqa: E402

EDGE = "#444444"
COLOURS = {"CPU": "#cfe0f3", "GPU": "#d3ecd0", "GPU or CPU": "#d3ecd0"}
WIDTH, GAP, HEIGHT = 2.0, 0.4, 1.2


@dataclass(frozen=True)
class Station:
    """A box: its name, what happens in it, and on which processor."""

    name: str
    does: str
    where: str = ""


ROWS = (
    (
        "Once: fastrot prepare",
        (
            Station("videos", "any format\nof FFmpeg"),
            Station("prepare", "frames of\n136x136", "CPU"),
            Station("store", "a few large files"),
        ),
    ),
    (
        "At every training step: fastrot pretrain",
        (
            Station("read", "16 frames", "CPU"),
            Station("decode", "crop, flip", "GPU or CPU"),
            Station("rotate", "0, 90, 180, 270\ndegrees", "GPU or CPU"),
        ),
    ),
    (
        "",
        (
            Station("3D ResNet", "mixed precision,\nDDP", "GPU or CPU"),
            Station("rotation?", "label from the\nrotation itself"),
        ),
    ),
)


def draw_row(axes: Axes, bottom: float, title: str, row: tuple[Station, ...]) -> None:
    """Draw one row of boxes with arrows between them."""
    axes.text(0, bottom + HEIGHT + 0.1, title, weight="bold", va="bottom", fontsize=16)
    for i, station in enumerate(row):
        left = i * (WIDTH + GAP)
        box = FancyBboxPatch(
            *((left, bottom), WIDTH, HEIGHT),
            boxstyle="round,pad=0.02,rounding_size=0.08",
            facecolor=COLOURS.get(station.where, "#eeeeee"),
            edgecolor=EDGE,
        )
        axes.add_patch(box)
        style = {"x": left + WIDTH / 2, "ha": "center", "va": "center"}
        axes.text(y=bottom + 1.0, s=station.name, weight="bold", fontsize=16, **style)
        axes.text(y=bottom + 0.59, s=station.does, linespacing=1.2, **style)
        axes.text(y=bottom + 0.15, s=station.where, style="italic", **style)
        if i + 1 < len(row):
            draw_arrow(axes, left + WIDTH + 0.03, bottom + HEIGHT / 2)


def draw_arrow(axes: Axes, start: float, y: float) -> None:
    """Draw an arrow to the next box of a row."""
    axes.annotate(
        *("", (start + GAP, y), (start, y)),
        arrowprops={"arrowstyle": "-|>", "color": EDGE, "linewidth": 1.5},
    )


def draw(out: Path) -> None:
    """Write the picture."""
    figure, axes = plt.subplots(figsize=(7.2, 5.2))
    figure.patch.set_facecolor("white")
    bottoms = (3.2, 1.4, 0.0)
    for bottom, (title, row) in zip(bottoms, ROWS, strict=True):
        draw_row(axes, bottom, title, row)
    draw_arrow(axes, -GAP - 0.03, HEIGHT / 2)  # the second row continues in the third
    axes.set_xlim(-GAP - 0.1, 3 * WIDTH + 2 * GAP + 0.1)
    axes.set_ylim(-0.1, 4.8)
    axes.axis("off")
    figure.savefig(out, bbox_inches="tight", pad_inches=0.1, metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".svg"))
