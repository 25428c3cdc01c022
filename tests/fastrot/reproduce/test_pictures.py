"""Pictures of finished runs: the files, the correlations in them, and titles that say "generated"."""

import json
from pathlib import Path

import numpy as np
import pytest

from fastrot.evaluation.intervals import Estimate
from fastrot.reproduce import attention_study, pictures
from fastrot.reproduce.attention_study import spread
from fastrot.reproduce.averages import Cell
from fastrot.reproduce.execute import carry_out
from fastrot.reproduce.pictures import draw_gallery, draw_table
from fastrot.reproduce.run_plan import Entry, Gallery, Plan, Snapshot
from pipelines.store.reading import Store

pytest.importorskip("matplotlib.figure")


@pytest.fixture
def networks(bench, one_thread):
    """Return the snapshots of a network trained on rotations and of one trained on labels."""
    runs = (bench.run(0, task="rotation"), bench.run(1))
    assert carry_out(Plan((), runs, ()), bench.workshop) == []
    return tuple(Snapshot(run) for run in runs)


@pytest.fixture
def saved(monkeypatch):
    """Record the figures instead of writing them."""
    found = {}
    monkeypatch.setattr(
        pictures, "_save", lambda figure, path: found.__setitem__(path.name, figure)
    )
    return found


def test_attention_is_drawn_with_its_control_and_correlations(
    bench, networks, tmp_path, saved, monkeypatch
):
    monkeypatch.setattr(attention_study, "MOST", 5)
    monkeypatch.setattr(attention_study, "SHEETS", 1)
    ours, rival = networks
    gallery = Gallery("attention", "Maps", ours, rival, bench.store, "all", ("A note.",))
    drawn = draw_gallery(gallery, bench.workshop, tmp_path, None, generated=True)
    assert drawn.names == ["attention-1"]
    assert list(saved) == drawn.names
    assert (
        saved["attention-1"].get_suptitle() == f"{Store.open(bench.store).name(0)} (RGB, generated)"
    )
    values = json.loads((tmp_path / "attention.json").read_text())
    assert (values["videos"], values["videos_of_the_split"]) == (5, 6)
    assert len(values["correlations"]) == 6 * 2
    pairs = {tuple(each["between"]): each for each in values["correlations"][::2]}
    means = {tuple(each["between"]): each for each in values["correlations"][1::2]}
    assert all("means over the frames" in each["over"] for each in means.values())
    store = Store.open(bench.store)
    for each in (*pairs.values(), *means.values()):
        assert list(each["of_each_video"]) == [store.name(video) for video in (0, 1, 2, 4, 5)]
        numbers = list(each["of_each_video"].values())
        assert each["mean"] == pytest.approx(np.mean(numbers))
        half = 2.7764451051977934 * np.std(numbers, ddof=1) / 5**0.5  # Student's t for five values
        assert each["interval"] == pytest.approx([each["mean"] - half, each["mean"] + half])
    # Networks trained for two steps are hardly trained, but each has weights of its own.
    assert 0 < pairs["3DRotNet", "untrained"]["mean"] < 0.9999
    mean = pairs["3DRotNet", "untrained"]["mean"]
    assert "A note." in drawn.caption
    assert "5 of the 6 videos of all" in drawn.caption
    still = means["3DRotNet", "untrained"]["mean"]
    assert f"3DRotNet with untrained {mean:.3f} ±" in drawn.caption
    assert f"({still:.3f} ±" in drawn.caption
    assert "3DRotNet with |gradient|" in drawn.caption
    assert drawn.title == "Maps (generated videos)"


def test_kernels_are_drawn_next_to_untrained_ones(bench, networks, tmp_path, saved):
    gallery = Gallery("figure5", "Kernels", *networks)
    drawn = draw_gallery(gallery, bench.workshop, tmp_path, None)
    assert drawn.names == ["figure5"]
    titles = [axes.get_title() for axes in saved["figure5"].axes]
    assert titles == ["3DRotNet", "supervised", "untrained"]
    sheets = [axes.images[0].get_array() for axes in saved["figure5"].axes]
    assert not np.array_equal(sheets[0], sheets[2])


def test_a_picture_is_written_as_png_and_svg(bench, networks, tmp_path):
    gallery = Gallery("figure5", "Kernels", *networks)
    draw_gallery(gallery, bench.workshop, tmp_path / "new", None)
    assert (tmp_path / "new" / "figure5.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "new" / "figure5.svg").read_bytes().startswith(b"<?xml")


def test_a_gallery_that_has_not_run_is_not_drawn(bench, tmp_path, capsys):
    gallery = Gallery("figure5", "Kernels", Snapshot(bench.run(0)), Snapshot(bench.run(1)))
    assert draw_gallery(gallery, bench.workshop, tmp_path, None).names == ()
    assert "figure5: not run" in capsys.readouterr().out
    assert not list(tmp_path.glob("figure5*"))


@pytest.mark.parametrize("generated", [True, False])
def test_titles_and_axes_of_generated_videos_say_so(saved, generated):
    cells = [
        Cell(Entry("10 iterations", column), Estimate(50.0, 1.0, 3), None, None)
        for column in ("Rotation accuracy", "UCF101 top-1")
    ]
    assert draw_table("figure4b", "Figure 4b", cells, Path(), generated=generated)
    figure = saved["figure4b"]
    (axes,) = figure.axes
    assert ("generated videos" in figure.get_suptitle()) is generated
    name = "UCF101-like (generated)" if generated else "UCF101"
    assert axes.get_ylabel() == f"{name} top-1, %"


def test_the_budget_is_drawn_and_a_plain_table_is_not(saved):
    cells = [
        Cell(Entry("200 steps", "Scratch"), Estimate(50.0, 1.0, 3), None, None),
        Cell(Entry("200 steps", "3DRotNet"), Estimate(60.0, 1.0, 3), None, Estimate(10.0, 1.0, 3)),
    ]
    assert draw_table("budget", "Gain", cells, Path())
    assert not draw_table("table1", "Table 1", cells, Path())
    assert list(saved) == ["budget"]


def test_videos_are_spread_over_the_split():
    videos = np.array([3, 5, 8, 9, 20], dtype=np.int64)
    np.testing.assert_array_equal(spread(videos, 3), [3, 8, 20])
    np.testing.assert_array_equal(spread(videos, 9), videos)
