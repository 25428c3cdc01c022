"""The confusion matrix, the accuracy per class, and their files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrot.data.selection import Ints
from fastrot.runs.plots import has_matplotlib, new_figure, write_figure
from pipelines.files import write_csv

LABELS_UP_TO = 150  # classes; with more, their names are illegible in the picture
NUMBERS_UP_TO = 12  # classes


def confusion_counts(labels: Ints, found: Ints, classes: int) -> Ints:
    """Return the (classes, classes) counts by true class (rows) and predicted class (columns)."""
    cells = np.bincount(labels * classes + found, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def write_per_class(out: Path, names: Sequence[str], counts: Ints) -> None:
    """Write ``per_class.csv``: each class, its number of videos, and its top-1 in 0..1, empty without videos.

    Raises:
        FastrotError: The file cannot be written.
    """
    rows = [
        (name, total, round(right / total, 6) if total else "")
        for name, total, right in zip(
            names, counts.sum(axis=1).tolist(), counts.diagonal().tolist(), strict=True
        )
    ]
    write_csv(out / "per_class.csv", ("class", "videos", "top1"), rows)


def write_confusion(out: Path, names: Sequence[str], counts: Ints) -> list[str]:
    """Write ``confusion.csv`` and, if matplotlib is installed, ``confusion.png``.

    Args:
        out: The folder.
        names: Names of the classes.
        counts: (C, C) by true class (rows) and predicted class (columns).

    Returns:
        The names of the files written.

    Raises:
        FastrotError: A file cannot be written.
    """
    rows = [(name, *row) for name, row in zip(names, counts.tolist(), strict=True)]
    write_csv(out / "confusion.csv", ("true / found", *names), rows)
    if not has_matplotlib():
        # A picture from an earlier evaluation would be out of date.
        (out / "confusion.png").unlink(missing_ok=True)
        return ["confusion.csv"]
    write_figure(draw_confusion(names, counts), out / "confusion.png")
    return ["confusion.csv", "confusion.png"]


def draw_confusion(names: Sequence[str], counts: Ints) -> Any:
    """Return a figure of the matrix, with each row normalised to shares of its class."""
    shares: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(3 + 0.16 * len(names), 4, 24))  # inches
    figure = new_figure(side + 1.5, side)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(names) <= LABELS_UP_TO:
        style = {"fontsize": 8 if len(names) <= 40 else 6, "parse_math": False}
        axes.set_xticks(range(len(names)), labels=names, rotation=90, **style)
        axes.set_yticks(range(len(names)), labels=names, **style)
    if len(names) <= NUMBERS_UP_TO:
        for (row, column), share in np.ndenumerate(shares):
            colour = "white" if share > 0.5 else "black"
            place = {"ha": "center", "va": "center", "fontsize": 7}
            axes.text(column, row, f"{100 * share:.0f}", color=colour, **place)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    return figure
