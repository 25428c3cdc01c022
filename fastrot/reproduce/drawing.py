"""Draw the curves: figure 4, and the gain against the number of fine-tuning steps.

All bars are 95 % confidence intervals. The colours are those of Okabe and Ito, which colour-blind readers can
distinguish; markers differ as well.
"""

import textwrap
from collections.abc import Sequence
from typing import Any

from fastrot.evaluation.intervals import Estimate
from fastrot.reproduce.averages import Cell
from fastrot.runs.plots import new_figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00")
MARKERS = "osD^vP"
LARGE, MEDIUM = 13, 12  # font sizes in points, readable when a figure is 400 pixels wide
SCRATCH, OURS = "Scratch", "3DRotNet"
"""The columns of the table ``budget``."""
FROZEN_KEY = (
    ">Cn: the blocks before Cn are frozen, in brackets\nC1: conv1, C2 to C5: layer1 to layer4"
)


def draw_frozen(cells: Sequence[Cell], title: str) -> Any:
    """Draw figure 4a: a line for each column over the table's rows."""
    figure = new_figure(7, 5)
    axes = figure.add_subplot()
    rows = list(dict.fromkeys(cell.entry.row for cell in cells))
    columns = list(dict.fromkeys(cell.entry.column for cell in cells))
    for at, column in enumerate(columns):
        mine = [cell for cell in cells if cell.entry.column == column and cell.ours is not None]
        # The lines are shifted, so that their intervals do not hide each other.
        shift = 0.12 * (at - (len(columns) - 1) / 2)
        places = [rows.index(cell.entry.row) + shift for cell in mine]
        _draw_bars(axes, places, [cell.ours for cell in mine], at, label=column, linestyle="-")
    axes.set_xticks(range(len(rows)), labels=[row.replace(" (", "\n(") for row in rows])
    _describe(axes, FROZEN_KEY, "top-1 per video, %")
    axes.legend(fontsize=MEDIUM)
    _entitle(figure, title)
    return figure


def draw_against(cells: Sequence[Cell], title: str) -> Any:
    """Draw figure 4b: the table's second column over its first, a point with intervals for each row."""
    figure = new_figure(7, 5.6)
    axes = figure.add_subplot()
    first, second = dict.fromkeys(cell.entry.column for cell in cells)
    by_row: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        by_row.setdefault(cell.entry.row, {})[cell.entry.column] = cell
    for at, (row, pair) in enumerate(by_row.items()):
        x, y = (pair[column].ours if column in pair else None for column in (first, second))
        if x is not None and y is not None:
            _draw_bars(axes, [x.mean], [y], at, label=row, xerr=x.half_width)
    _describe(axes, f"{first}, %", f"{second}, %")
    figure.legend(
        loc="outside lower center",
        ncols=3,
        fontsize=MEDIUM,
        title="pre-trained for",
        title_fontsize=MEDIUM,
    )
    _entitle(figure, title)
    return figure


def draw_budget(cells: Sequence[Cell], title: str) -> Any:
    """Draw accuracy against the number of fine-tuning steps for both arms, and next to it the gain.

    Args:
        cells: The columns "Scratch" and "3DRotNet"; a row is named by a number and its unit, such as
            "1,800 steps".
        title: The title.
    """
    figure = new_figure(8, 4.4)
    left, right = figure.subplots(1, 2)
    for at, arm in enumerate((SCRATCH, OURS)):
        mine = [cell for cell in cells if cell.entry.column == arm and cell.ours is not None]
        # Shifted, so that the intervals of the arms do not hide each other.
        amounts = [_amount(cell) * (0.97, 1.03)[at] for cell in mine]
        _draw_bars(left, amounts, [cell.ours for cell in mine], at, label=arm, linestyle="-")
    gains = [cell for cell in cells if cell.gain is not None]
    at = (SCRATCH, OURS).index(OURS)
    _draw_bars(right, [_amount(cell) for cell in gains], [cell.gain for cell in gains], at)
    right.axhline(0, color="black", linewidth=1)
    unit = cells[0].entry.row.partition(" ")[2]
    for axes, what in ((left, "top-1 per video, %"), (right, "gain over scratch, points")):
        axes.set_xscale("log")
        ticks = sorted({_amount(cell) for cell in cells})
        axes.set_xticks(ticks, labels=[f"{tick:,}" for tick in ticks])
        axes.set_xticks([], minor=True)
        _describe(axes, f"fine-tuning {unit}", what)
    left.legend(fontsize=MEDIUM)
    _entitle(figure, title)
    return figure


def _amount(cell: Cell) -> int:
    """Return the number at the start of a row's name."""
    return int(cell.entry.row.partition(" ")[0].replace(",", ""))


def _draw_bars(
    axes: Any, places: Sequence[float], values: Sequence[Estimate | None], at: int, **options: Any
) -> None:
    """Draw points with their 95 % intervals in the colour and with the marker number ``at``."""
    known = [(x, y) for x, y in zip(places, values, strict=True) if y is not None]
    axes.errorbar(
        [x for x, _ in known],
        [y.mean for _, y in known],
        yerr=[y.half_width or 0.0 for _, y in known],
        color=COLOURS[at % len(COLOURS)],
        marker=MARKERS[at % len(MARKERS)],
        markersize=7,
        capsize=4,
        **{"linestyle": "none", **options},
    )


def _describe(axes: Any, along_x: str, along_y: str) -> None:
    axes.set_xlabel(along_x, fontsize=MEDIUM)
    axes.set_ylabel(along_y, fontsize=MEDIUM)
    axes.tick_params(labelsize=MEDIUM)
    axes.grid(axis="y", color="#DDDDDD")
    axes.set_axisbelow(True)


def _entitle(figure: Any, title: str) -> None:
    """Set the title, in lines that fit, and say what the bars are."""
    width = int(8.5 * figure.get_size_inches()[0])
    lines = textwrap.wrap(title, width, break_on_hyphens=False)
    figure.suptitle("\n".join([*lines, "bars: 95 % intervals"]), fontsize=LARGE)
