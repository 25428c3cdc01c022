"""Draw the figures of finished tables and networks."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from fastrot.analysis.kernels import kernel_sheet
from fastrot.analysis.untrained import untrained_like
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.trained import load_trained
from fastrot.models.weight_files import read_weights
from fastrot.reproduce import drawing
from fastrot.reproduce.attention_study import OURS, SUPERVISED, UNTRAINED, study
from fastrot.reproduce.averages import Cell
from fastrot.reproduce.execute import Workshop
from fastrot.reproduce.run_plan import Entry, Gallery, Snapshot
from fastrot.reproduce.sheets import draw_attention, draw_kernels
from fastrot.runs.plots import NO_MATPLOTLIB, has_matplotlib, write_figure
from fastrot.terminal.console import say
from pipelines.errors import FastrotError
from pipelines.files import write_file
from pipelines.store.reading import Store

CURVES = {
    "figure4a": drawing.draw_frozen,
    "figure4b": drawing.draw_against,
    "budget": drawing.draw_budget,
}


@dataclass(frozen=True)
class Drawn:
    """The pictures of a gallery.

    Attributes:
        title: Its title.
        names: The names of the files without suffix; empty if nothing could be drawn.
        notes: What the pictures show, with numbers.
    """

    title: str
    names: Sequence[str] = ()
    notes: tuple[str, ...] = ()

    @property
    def caption(self) -> str:
        """The caption of each picture."""
        return " ".join([f"{self.title}.", *self.notes])


def draw_table(
    key: str, title: str, cells: list[Cell], folder: Path, *, generated: bool = False
) -> bool:
    """Draw a table that is a figure, and return whether a figure was drawn.

    Args:
        key: Name of the table.
        title: The title.
        cells: The table's entries with our numbers.
        folder: The folder of the pictures.
        generated: Whether the videos are generated, which titles and axes then say.
    """
    if key not in CURVES or not has_matplotlib() or all(cell.ours is None for cell in cells):
        return False
    if generated:
        title = _generated(title)
        cells = [replace(cell, entry=_like(cell.entry)) for cell in cells]
    _save(CURVES[key](cells, title), folder / key)
    return True


def _save(figure: Any, path: Path) -> None:
    """Write PATH.png and PATH.svg."""
    for suffix in (".png", ".svg"):
        write_figure(figure, path.with_name(path.name + suffix))


def draw_gallery(
    gallery: Gallery,
    workshop: Workshop,
    folder: Path,
    supervised: Path | None,
    *,
    generated: bool = False,
) -> Drawn:
    """Draw kernels or attention sheets; with the latter, write KEY.json with the correlations.

    Args:
        gallery: What to draw.
        workshop: The folder of the networks.
        folder: The folder of the pictures.
        supervised: File of a supervised network in Hara's format, used instead of the one trained here.
        generated: Whether the videos are generated, which titles then say.

    Raises:
        FastrotError: A file cannot be read or written.
    """
    title = _generated(gallery.title) if generated else gallery.title
    if not has_matplotlib():
        say(f"{gallery.key}: not drawn: {NO_MATPLOTLIB}")
        return Drawn(title)
    ours = _checkpoint(gallery.ours, workshop)
    rival = supervised
    if gallery.supervised is not None:
        rival = _checkpoint(gallery.supervised, workshop)
    if ours is None or rival is None:
        say(f"{gallery.key}: not run")
        return Drawn(title)
    draw = _attention if gallery.store else _kernels
    with Runtime.start() as runtime:
        names, notes = draw(gallery, ours, rival, folder, runtime, title)
    return Drawn(title, names, (*gallery.notes, *notes))


def _checkpoint(snapshot: Snapshot, workshop: Workshop) -> Path | None:
    if workshop.finished_folder(snapshot.run) is None:
        return None
    return workshop.checkpoint(snapshot)


def _kernels(
    gallery: Gallery, ours: Path, rival: Path, folder: Path, runtime: Runtime, title: str
) -> tuple[list[str], tuple[str, ...]]:
    """Draw the kernels, and return the names of the pictures and notes."""
    fresh = untrained_like(load_trained(ours, runtime), runtime)
    kernels = {
        OURS: _first_kernels(ours),
        SUPERVISED: _first_kernels(rival),
        UNTRAINED: fresh.network.conv1.weight,
    }
    sheets = {name: kernel_sheet(weight) for name, weight in kernels.items()}
    _save(draw_kernels(sheets, title), folder / gallery.key)
    return [gallery.key], ()


def _first_kernels(path: Path) -> Tensor:
    tensors = read_weights(path).tensors
    if "conv1.weight" not in tensors:
        raise FastrotError(f"{path} contains no conv1.weight: give a 3D ResNet in Hara's format")
    return tensors["conv1.weight"]


def _attention(
    gallery: Gallery, ours: Path, rival: Path, folder: Path, runtime: Runtime, title: str
) -> tuple[list[str], tuple[str, ...]]:
    """Draw the sheets and write KEY.json; return the names of the pictures and the correlations."""
    found = study(ours, rival, Store.open(gallery.store), gallery.split, runtime)
    kind = f"{found.modality.upper()}{', generated' if title != gallery.title else ''}"
    names: list[str] = []
    for name, views in found.sheets(runtime):
        names.append(f"{gallery.key}-{len(names) + 1}")
        figure = draw_attention(views, list(found.networks), f"{name} ({kind})")
        _save(figure, folder / names[-1])
    values = {"title": title, "notes": [*gallery.notes, *found.notes], **found.plain()}
    write_file(folder / f"{gallery.key}.json", json.dumps(values, indent=1) + "\n")
    return names, found.notes


def _generated(title: str) -> str:
    return title if "generated" in title else f"{title} (generated videos)"


def _like(entry: Entry) -> Entry:
    """Return an entry whose column says that the videos of a set are generated."""
    column = re.sub(r"\b(UCF101|HMDB51|Kinetics|MT)\b", r"\1-like (generated)", entry.column)
    return replace(entry, column=column)
