"""The benchmark of cheap cues: one tiny case from end to end, and the table's arithmetic by hand."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks.cheap_cues import study as cheap_cues
from benchmarks.cheap_cues.study_page import CASES, draw, table
from fastrot.demo import demo as demo_run
from pipelines.errors import FastrotError, UsageError

TINY = [
    *("--combination", "moving-horizon", "--input", "compensated", "--seeds", "1", "--epochs", "1"),
    *("--unlabelled", "6", "--groups", "3", "--clips-per-group", "1"),
    *("--frames", "18", "--size", "32"),
]
for stage in ("pretrain", "finetune"):
    for change in ("train.epochs=null", "train.iterations=3", "train.batch=4", "model.width=2"):
        TINY += [f"--{stage}", change]


def case(**values):
    made = {
        "rotation": 50.0,
        "rotation_videos": 252,
        "blocks": ["conv1", "layer1", "layer2", "layer3", "layer4"],
        "probe": [10.0, 20.0, 30.0, 40.0, 50.0],
        "probe_random": [10.0, 19.0, 32.0, 39.0, 25.0],
        "shots": 3,
        "scratch": [30.0, 50.0],
        "ours": [60.0, 60.0],
    }
    return made | values


RESULTS = {
    "settings": {"unlabelled": 700, "epochs": 12.0},
    "cases": {
        "moving-horizon-rgb": case(
            camera="moving", horizon=True, input="rgb", ours=[28.0, 42.0], rotation=98.44
        ),
        "static-plain-dif": case(camera="static", horizon=False, input="dif"),
    },
}


def test_there_are_twelve_cases():
    assert len({c.key for c in CASES}) == 12
    assert {c.combination for c in CASES} == {
        *("static-plain", "static-horizon", "moving-plain", "moving-horizon")
    }


def test_table_by_hand():
    lines = table(RESULTS).splitlines()
    assert lines[2:4] == [
        "| static, plain, DIF | 50.0 | 40.0 +- 127.1 | 60.0 +- 0.0 | +20.0 +- 127.1 | 30.0 (-2.0) "
        "| 50.0 (+25.0) |",
        "| moving, horizon, RGB | 98.4 | 40.0 +- 127.1 | 35.0 +- 88.9 | -5.0 +- 38.1 | 30.0 (-2.0) "
        "| 50.0 (+25.0) |",
    ]
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|")
    assert "252 videos" in lines[5]
    assert "700 videos for 12 epochs" in lines[5]


@pytest.mark.slow
def test_a_case_runs_is_written_and_is_not_run_again(tmp_path, capsys, monkeypatch):
    with pytest.raises(FastrotError, match="Too few videos to measure"):
        cheap_cues.main(["--out", str(tmp_path), *TINY])
    for least in ("LEAST_TEST_VIDEOS", "LEAST_STEPS"):
        monkeypatch.setattr(demo_run, least, 1)
    cheap_cues.main(["--out", str(tmp_path), *TINY])
    assert "| moving, horizon, DIF, camera motion removed |" in capsys.readouterr().out
    written = (tmp_path / "cheap_cues.json").read_text()
    (found,) = json.loads(written)["cases"].values()
    assert found["rotation_videos"] == 12
    assert len(found["probe"]) == len(found["probe_random"]) == 5
    assert len(found["scratch"]) == len(found["ours"]) == 1
    assert found["environment"]["packages"]["torch"]
    spec = json.loads((tmp_path / "moving-horizon" / "videos" / "demo.json").read_text())
    assert (spec["camera"], spec["horizon"]) == ("moving", True)
    monkeypatch.setattr(cheap_cues, "run_demo", None)  # would fail if called
    cheap_cues.main(["--out", str(tmp_path), *TINY])
    assert "already done" in capsys.readouterr().out
    assert (tmp_path / "cheap_cues.json").read_text() == written
    with pytest.raises(UsageError, match="results for other settings"):
        cheap_cues.main(["--out", str(tmp_path), *TINY, "--unlabelled", "7"])


def test_nothing_measured_is_said_plainly(tmp_path):
    with pytest.raises(FastrotError, match="measure first"):
        cheap_cues.main(["--out", str(tmp_path), "--draw", str(tmp_path / "figure.png")])


def test_figure_is_drawn_of_what_there_is(tmp_path):
    draw(RESULTS, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(FastrotError, match=r"figure\.what cannot be written"):
        draw(RESULTS, tmp_path / "figure.what")


def test_figure_without_matplotlib_is_said_plainly(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(FastrotError, match="need matplotlib"):
        draw(RESULTS, tmp_path / "figure.png")


def test_the_pages_table_is_that_of_the_committed_figures():
    docs = Path(__file__).parents[3] / "docs"
    results = cheap_cues.load(docs / "cheap_cues.json")
    assert table(results).strip() in (docs / "cheap_cues.md").read_text()
