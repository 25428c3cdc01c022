"""Draw the figures of finished tables and networks."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from fastrot.analysis.attention import attend
from fastrot.analysis.kernels import kernel_sheet
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.trained import Trained, load_trained
from fastrot.models.network import transfer_network
from fastrot.models.weight_files import read_weights, start_from
from fastrot.reproduce import drawing
from fastrot.reproduce.averages import Cell
from fastrot.reproduce.execute import Workshop
from fastrot.reproduce.run_plan import Gallery, Snapshot
from fastrot.runs.plots import NO_MATPLOTLIB, has_matplotlib, write_figure
from fastrot.terminal.console import say
from pipelines.errors import FastrotError
from pipelines.store.reading import Store

VIDEOS = 4  # number of attention sheets, spread evenly over the split
CURVES = {"figure4a": drawing.draw_rows, "figure4b": drawing.draw_against}


def draw_table(key: str, title: str, cells: list[Cell], folder: Path) -> bool:
    """Draw a table that is a figure in the paper, and return whether a figure was drawn."""
    if key not in CURVES or not has_matplotlib() or all(cell.ours is None for cell in cells):
        return False
    _save(CURVES[key](cells, title), folder / key)
    return True


def _save(figure: Any, path: Path) -> None:
    """Write PATH.png and PATH.svg."""
    for suffix in (".png", ".svg"):
        write_figure(figure, path.with_name(path.name + suffix))


def draw_gallery(
    gallery: Gallery, workshop: Workshop, folder: Path, supervised: Path | None
) -> list[str]:
    """Draw kernels or attention sheets.

    Args:
        gallery: What to draw.
        workshop: The folder of the networks.
        folder: The folder of the pictures.
        supervised: File of a supervised network in Hara's format, used instead of the one trained here.

    Returns:
        The names of the figures drawn.

    Raises:
        FastrotError: A file cannot be read or written.
    """
    if not has_matplotlib():
        say(f"{gallery.key}: not drawn: {NO_MATPLOTLIB}")
        return []
    ours = _checkpoint(gallery.ours, workshop)
    rival = supervised
    if gallery.supervised is not None:
        rival = _checkpoint(gallery.supervised, workshop)
    if ours is None or rival is None:
        say(f"{gallery.key}: not run")
        return []
    if gallery.store:
        return _attention(gallery, ours, rival, folder)
    sheets = {
        name: kernel_sheet(_first_kernels(path))
        for name, path in (("3DRotNet", ours), ("supervised", rival))
    }
    _save(drawing.draw_kernels(sheets, gallery.title), folder / gallery.key)
    return [gallery.key]


def _checkpoint(snapshot: Snapshot, workshop: Workshop) -> Path | None:
    if workshop.finished_folder(snapshot.run) is None:
        return None
    return workshop.checkpoint(snapshot)


def _first_kernels(path: Path) -> Tensor:
    tensors = read_weights(path).tensors
    if "conv1.weight" not in tensors:
        raise FastrotError(f"{path} contains no conv1.weight: give a 3D ResNet in Hara's format")
    return tensors["conv1.weight"]


def _attention(gallery: Gallery, ours: Path, rival: Path, folder: Path) -> list[str]:
    drawn: list[str] = []
    with Runtime.start() as runtime:
        mine = load_trained(ours, runtime)
        theirs = _load_supervised(rival, mine, runtime)
        store = Store.open(gallery.store)
        split = store.select(gallery.split)
        places = np.linspace(0, len(split) - 1, min(VIDEOS, len(split))).round().astype(np.int64)
        videos = np.unique(split[places])
        for video, views in zip(
            videos.tolist(), attend([mine, theirs], store, videos, runtime), strict=True
        ):
            name = f"{gallery.key}-{len(drawn) + 1}"
            title = f"{store.name(video)}, {mine.config.data.modality.upper()}"
            figure = drawing.draw_attention(views, ("3DRotNet", "supervised"), title)
            _save(figure, folder / name)
            drawn.append(name)
    return drawn


def _load_supervised(path: Path, ours: Trained, runtime: Runtime) -> Trained:
    """Load a fastrot checkpoint, or a file in Hara's format with the shape and input of our network."""
    if read_weights(path).form == "fastrot":
        return load_trained(path, runtime)
    model = ours.config.model
    network = transfer_network(2, depth=model.depth, width=model.width, shortcut=model.shortcut)
    start_from(path, network)
    runtime.place(network)
    return Trained(network, ours.task, ours.config)
