"""Draw the figures: the curves of figure 4, kernels, and attention maps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrot.analysis.attention import Rotated, hottest_box
from fastrot.reproduce.averages import Cell
from fastrot.runs.plots import new_figure


def draw_rows(cells: Sequence[Cell], title: str) -> Any:
    """Draw a figure like figure 4a: a line for each column over the table's rows, with error bars."""
    figure = new_figure(6, 4)
    axes = figure.add_subplot()
    rows = list(dict.fromkeys(cell.entry.row for cell in cells))
    for column in dict.fromkeys(cell.entry.column for cell in cells):
        mine = [cell for cell in cells if cell.entry.column == column and cell.ours is not None]
        if not mine:
            continue
        places = [rows.index(cell.entry.row) for cell in mine]
        axes.errorbar(places, *_means_and_errors(mine), marker="o", capsize=3, label=column)
    axes.set_xticks(range(len(rows)), labels=rows, rotation=20)
    axes.set_ylabel("top-1 per video, %")
    axes.set_title(title, fontsize=10)
    axes.legend()
    return figure


def draw_against(cells: Sequence[Cell], title: str) -> Any:
    """Draw a figure like figure 4b: the table's second column over its first, a point for each row."""
    figure = new_figure(6, 4)
    axes = figure.add_subplot()
    first, second = dict.fromkeys(cell.entry.column for cell in cells)
    by_row: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        by_row.setdefault(cell.entry.row, {})[cell.entry.column] = cell
    points = [
        (row, pair[first].ours, pair[second].ours) for row, pair in by_row.items() if len(pair) == 2
    ]
    known = [(row, x, y) for row, x, y in points if x is not None and y is not None]
    axes.errorbar(
        [x.mean for _, x, _ in known],
        [y.mean for _, _, y in known],
        xerr=[x.half_width or 0 for _, x, _ in known],
        yerr=[y.half_width or 0 for _, _, y in known],
        marker="o",
        capsize=3,
    )
    for row, x, y in known:
        axes.annotate(row, (x.mean, y.mean), fontsize=7, xytext=(4, 4), textcoords="offset points")
    axes.set_xlabel(f"{first}, %")
    axes.set_ylabel(f"{second}, %")
    axes.set_title(title, fontsize=10)
    return figure


def _means_and_errors(cells: Sequence[Cell]) -> tuple[list[float], list[float]]:
    estimates = [cell.ours for cell in cells if cell.ours is not None]
    return [each.mean for each in estimates], [each.half_width or 0.0 for each in estimates]


def draw_kernels(sheets: Mapping[str, NDArray[np.uint8]], title: str) -> Any:
    """Draw sheets of kernels side by side, with their names as titles."""
    height, width = next(iter(sheets.values())).shape[:2]
    scale = 4.5 / width
    figure = new_figure(len(sheets) * 4.8, max(1.6, height * scale + 0.9))
    figure.suptitle(title, fontsize=10)
    for axes, (name, sheet) in zip(
        np.atleast_1d(figure.subplots(1, len(sheets))), sheets.items(), strict=True
    ):
        axes.imshow(sheet, interpolation="nearest")
        axes.set_title(name, fontsize=9)
        axes.axis("off")
    return figure


def draw_attention(views: Sequence[Rotated], names: Sequence[str], title: str) -> Any:
    """Draw the sheet of one video: a row for each rotation, with the frame and each network's map."""
    columns = 1 + len(names)
    figure = new_figure(1.7 * columns, 1.75 * len(views) + 0.5)
    figure.suptitle(title, fontsize=8, parse_math=False)
    grid = figure.subplots(len(views), columns, squeeze=False)
    for row, view in zip(grid, views, strict=True):
        row[0].imshow(view.frame)
        row[0].set_ylabel(f"{view.degrees}°", fontsize=9)
        for axes, heat in zip(row[1:], view.maps, strict=True):
            axes.imshow(heat, cmap="inferno")
            top, left, side = hottest_box(heat)
            _box(axes, top, left, side)
        _box(row[0], *hottest_box(view.maps[0]))
        for axes in row:
            axes.set_xticks([])
            axes.set_yticks([])
    for axes, name in zip(grid[0], ("frame", *names), strict=True):
        axes.set_title(name, fontsize=9)
    return figure


def _box(axes: Any, top: int, left: int, side: int) -> None:
    right, bottom = left + side - 1, top + side - 1
    axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], "r-", linewidth=1)
