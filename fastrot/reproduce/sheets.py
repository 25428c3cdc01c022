"""Draw sheets of small pictures: kernels (figure 5) and attention maps (figures 1, 3 and 6 to 9)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrot.analysis.attention import Rotated, hottest_box
from fastrot.runs.plots import new_figure

LARGE, MEDIUM = 14, 12  # font sizes in points, readable when a sheet is 400 pixels wide
TIME = "time →"


def draw_kernels(sheets: Mapping[str, NDArray[np.uint8]], title: str) -> Any:
    """Draw sheets of kernels side by side, with their names as titles; time runs along each strip."""
    height, width = next(iter(sheets.values())).shape[:2]
    side = 3.2
    figure = new_figure(len(sheets) * side, max(1.6, height / width * side + 1.0))
    figure.suptitle(title, fontsize=LARGE)
    for axes, (name, sheet) in zip(
        np.atleast_1d(figure.subplots(1, len(sheets))), sheets.items(), strict=True
    ):
        axes.imshow(sheet, interpolation="nearest")
        axes.set_title(name, fontsize=MEDIUM)
        axes.set_xlabel(TIME, fontsize=MEDIUM, loc="left")
        _without_frame(axes)
    return figure


def draw_attention(views: Sequence[Rotated], names: Sequence[str], title: str) -> Any:
    """Draw the sheet of one video: a block for each rotation, with a row of frames and one for each network.

    The maps of a network share a scale, from their lowest value in the sheet to their highest. The box of the
    first network's map is also drawn in the frame.
    """
    rows, columns = 1 + len(names), len(views[0].numbers)
    scales = [
        (min(view.maps[each].min() for view in views), max(view.maps[each].max() for view in views))
        for each in range(len(names))
    ]
    figure = new_figure(8, 8 * rows / columns + 1.2)
    figure.suptitle(title, fontsize=LARGE)
    blocks = np.atleast_1d(figure.subfigures(-(-len(views) // 2), 2)).flat
    for place, (block, view) in enumerate(zip(blocks, views, strict=False)):
        block.suptitle(f"{view.degrees}°", fontsize=LARGE)
        grid = block.subplots(rows, columns, squeeze=False)
        for column, number in enumerate(view.numbers):
            grid[0, column].set_title(f"frame {number + 1}", fontsize=MEDIUM)
            grid[0, column].imshow(view.frames[column])
            _box(grid[0, column], *hottest_box(view.maps[0][column]))
            for row, (maps, (low, high)) in enumerate(zip(view.maps, scales, strict=True), 1):
                grid[row, column].imshow(maps[column], cmap="inferno", vmin=low, vmax=high)
                _box(grid[row, column], *hottest_box(maps[column]))
        for axes in grid.flat:
            _without_frame(axes)
        grid[-1, 0].set_xlabel(TIME, fontsize=MEDIUM)
        if place % 2 == 0:
            for axes, name in zip(grid[:, 0], ("RGB", *names), strict=True):
                axes.set_ylabel(name, fontsize=MEDIUM)
    return figure


def _without_frame(axes: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _box(axes: Any, top: int, left: int, side: int) -> None:
    """Draw a box in white with black edges, which shows on any picture and to any eye."""
    right, bottom = left + side - 1, top + side - 1
    line = [left, right, right, left, left], [top, top, bottom, bottom, top]
    for colour, width in (("black", 3), ("white", 1.4)):
        axes.plot(*line, color=colour, linewidth=width)
