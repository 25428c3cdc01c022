"""The page of the cheap-cues study: its arithmetic by hand, its files, and the committed page."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cheap_cues import study, study_figure
from benchmarks.cheap_cues.saved_results import load
from benchmarks.cheap_cues.study_figure import draw
from benchmarks.cheap_cues.study_page import BEGIN, END, contents, stated, tables, write_page
from pipelines.errors import FastrotError

BLOCKS = ["conv1", "layer1", "layer2", "layer3", "layer4"]
PAGE = Path(__file__).parents[3] / "docs" / "cheap_cues.md"


def transfer(top1: float, shots: int = 5) -> dict:
    rest = {"steps": 225, "videos": 252, "clips_per_video": 3, "train_accuracy": 99.0}
    return {"top1": top1, "shots": shots, **rest}


def on_test_videos(rotation: float, layer4: float) -> dict:
    probes = {"probe": [10.0, 20.0, 30.0, 40.0, layer4], "probe_random": [10.0, 15.0, 20, 20, 20]}
    return {"videos": 252, "rotation": rotation, "blocks": BLOCKS, "probe_videos": 504, **probes}


RESULTS = {
    "settings": {"seeds": 3},
    "environments": [],
    "trainings": {
        **{
            f"finetune-static-plain-from-scratch-{seed}": transfer(top1)
            for seed, top1 in enumerate((31.0, 35.3, 28.2))
        },
        **{
            f"finetune-static-plain-from-static-plain-{seed}": transfer(top1)
            for seed, top1 in enumerate((45.6, 40.1, 49.2))
        },
        **{
            f"finetune-static-plain-from-moving-horizon-{seed}": transfer(top1)
            for seed, top1 in enumerate((43.7, 36.5, 40.5))
        },
        "finetune-static-plain-from-supervised-0": transfer(80.0, shots=0),
        "finetune-moving-plain-from-scratch-0": transfer(10.0),
        "finetune-moving-plain-from-moving-plain-0": transfer(12.5),
        "pretrain-moving-horizon-0": {"tested": {"static-plain": on_test_videos(45.4, 50.0)}},
        "pretrain-moving-horizon-1": {"tested": {"static-plain": on_test_videos(47.4, 54.0)}},
        "pretrain-moving-plain-0": {"tested": {"moving-plain": on_test_videos(60.0, 30.0)}},
    },
}


def test_a_mean_has_its_interval():
    assert stated([31.0, 35.3, 28.2]) == "31.5 ± 8.9"  # 4.303 x 3.576 / sqrt(3)
    assert stated([44.0], "+") == "+44.0"
    assert stated([]) == ""


def test_the_cross_by_hand():
    lines = tables(RESULTS).splitlines()
    at = lines.index("## The cross")
    header, rows = lines[at + 2], lines[at + 4 : at + 9]
    assert header.count("|") == rows[0].count("|") == 8
    # Gains of pairs: 14.6, 4.8, 21.0 and 12.7, 1.2, 12.3; clean minus trap: 1.9, 3.6, 8.7.
    assert [[cell.strip() for cell in row.split("|")[1:5]] for row in rows] == [
        ["nothing (scratch)", "31.5 ± 8.9", "", "99.0 ± 0.0"],
        ["trap (moving, horizon)", "40.2 ± 9.0", "+8.7 ± 16.2", "99.0 ± 0.0"],
        ["clean (static, plain)", "45.0 ± 11.4", "+13.5 ± 20.3", "99.0 ± 0.0"],
        ["nothing, all labels (bound)", "80.0", "+49.0", "99.0"],
        ["clean minus trap", "+4.7 ± 8.8", "", ""],
    ]


def test_the_other_tables_by_hand():
    text = tables(RESULTS)
    assert "interval over 1 or 3 seeds." in text
    assert "| moving, plain | 10.0 | 12.5 | +2.5 |\n" in text
    probes = "20.0 (+5.0 ± 0.0) | 30.0 (+10.0 ± 0.0) | 40.0 (+20.0 ± 0.0) | 52.0 (+32.0 ± 25.4)"
    trap = f"| trap (moving, horizon) | clean (static, plain) | 2 | 46.4 ± 12.7 | {probes} |"
    assert trap in text
    single = "20.0 (+5.0) | 30.0 (+10.0) | 40.0 (+20.0) | 30.0 (+10.0) |"
    assert f"| moving, plain | moving, plain | 1 | 60.0 | {single}" in text


def test_fine_tunings_that_have_not_converged_are_counted():
    trainings = RESULTS["trainings"]
    assert "- All 12 fine-tunings end with a training accuracy of at least 90 %." in tables(RESULTS)
    short = {
        "finetune-static-plain-from-scratch-1": {**transfer(35.3), "train_accuracy": 88.24},
        "finetune-moving-plain-from-scratch-0": {**transfer(10.0), "train_accuracy": 89.9},
        "finetune-static-plain-from-scratch-2": {**transfer(28.2), "train_accuracy": 90.0},
    }
    assert "- 2 of 12 fine-tunings," in (
        text := tables({**RESULTS, "trainings": trainings | short})
    )
    assert "below 90 % training accuracy, the lowest at 88.2: they are not converged." in text


def test_a_page_without_results_says_so(tmp_path):
    page = tmp_path / "cues.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    write_page({"settings": {"seeds": 3}, "environments": [], "trainings": {}}, page)
    assert page.read_text() == f"{BEGIN}\n\nNothing has been measured yet.\n\n{END}\n"
    assert not (tmp_path / "cues.png").exists()


def test_the_page_keeps_its_text_around_the_tables(tmp_path):
    page = tmp_path / "cues.md"
    page.write_text(f"Before.\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")
    for _ in range(2):
        write_page(RESULTS, page)
        before, _, rest = page.read_text().partition(f"{BEGIN}\n\n")
        shown, _, after = rest.partition(f"\n{END}")
        assert (before, after) == ("Before.\n\n", "\n\nAfter.\n")
        so_far, image, rest = shown.split("\n\n", 2)
        assert so_far == "15 of 51 trainings are measured."
        assert image.endswith("](cues.png)")
        assert rest == tables(RESULTS)
    assert load(tmp_path / "cues.json", study.KEYS) == RESULTS
    assert (tmp_path / "cues.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_without_marks_is_reported(tmp_path):
    page = tmp_path / "cues.md"
    with pytest.raises(FastrotError, match="cannot be read"):
        write_page(RESULTS, page)
    page.write_text("Text.\n")
    with pytest.raises(FastrotError, match="add the lines"):
        write_page(RESULTS, page)
    assert page.read_text() == "Text.\n"


def test_the_figure_has_intervals_seeds_and_a_legend_for_each_plot(monkeypatch, tmp_path):
    figures = []
    monkeypatch.setattr(study_figure, "write_figure", lambda figure, _: figures.append(figure))
    draw(RESULTS, tmp_path / "figure.png")
    (figure,) = figures
    above, below = figure.axes
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["nothing (scratch)", "trap", "clean", "nothing, all labels", "single seeds"]
    assert [text.get_text() for text in below.get_legend().get_texts()] == ["trap"]
    scratch = above.containers[0]
    # 31.5 +- 8.9 on clean videos
    (bar, *_) = scratch.lines[2][0].get_segments()
    assert np.ptp(bar[:, 1]) / 2 == pytest.approx(8.9, abs=0.05)
    for axes in (above, below):
        assert "generated videos" in axes.get_title()


def test_a_figure_without_matplotlib_is_reported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(FastrotError, match="need matplotlib"):
        draw(RESULTS, tmp_path / "figure.png")


def test_the_committed_page_prints_the_committed_results():
    results = load(PAGE.with_suffix(".json"), study.KEYS)
    shown = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert shown == f"\n\n{contents(results, 'cheap_cues.png')}\n"
