"""Figures drawn with matplotlib, which is optional (extra ``plots``)."""

import importlib
import io
from pathlib import Path
from typing import Any

from pipelines.errors import FastrotError
from pipelines.files import write_file

NO_MATPLOTLIB = "figures need matplotlib: pip install 'fastrot[plots]'"
_NO_TIME: dict[str, Any] = {"png": {"Software": None}, "svg": {"Date": None}}


def has_matplotlib() -> bool:
    """Return whether matplotlib is installed."""
    try:
        importlib.import_module("matplotlib.figure")
    except ImportError:
        return False
    return True


def new_figure(width: float, height: float) -> Any:
    """Return an empty matplotlib figure of the given size in inches.

    Raises:
        FastrotError: Matplotlib is not installed.
    """
    try:
        # Import by name, so that neither running nor type checking needs the optional package.
        library = importlib.import_module("matplotlib.figure")
    except ImportError:
        raise FastrotError(NO_MATPLOTLIB) from None
    return library.Figure(figsize=(width, height), layout="constrained")


def write_figure(figure: Any, path: Path) -> None:
    """Write a figure in the format given by the suffix; the same figure always gives the same bytes.

    Raises:
        FastrotError: The suffix is not an image format, or the file cannot be written.
    """
    form, content = path.suffix.removeprefix("."), io.BytesIO()
    try:
        figure.savefig(content, format=form, dpi=150, metadata=_NO_TIME.get(form))
    except ValueError as error:
        raise FastrotError(f"{path} cannot be written: {error}") from None
    write_file(path, content.getvalue())
