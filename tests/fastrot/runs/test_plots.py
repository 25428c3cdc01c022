"""Figures: written completely, the same bytes for the same figure, and an error without matplotlib."""

import sys
from pathlib import Path

import pytest

from fastrot.runs.plots import has_matplotlib, new_figure, write_figure
from pipelines.errors import FastrotError


def test_without_matplotlib_the_error_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert not has_matplotlib()
    with pytest.raises(FastrotError, match=r"pip install 'fastrot\[plots\]'"):
        new_figure(1, 1)


@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_written_figure_holds_no_time(tmp_path: Path, form: str) -> None:
    pytest.importorskip("matplotlib.figure")
    figure = new_figure(2, 1)
    figure.add_subplot().plot([1, 2])
    write_figure(figure, tmp_path / "new" / f"figure.{form}")
    content = (tmp_path / "new" / f"figure.{form}").read_bytes()
    assert content.startswith({"png": b"\x89PNG", "svg": b"<?xml"}[form])
    assert b"<dc:date>" not in content
    assert b"Software" not in content


def test_a_suffix_that_is_not_a_pictures_is_named(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib.figure")
    with pytest.raises(FastrotError, match=r"figure\.what cannot be written"):
        write_figure(new_figure(1, 1), tmp_path / "figure.what")
