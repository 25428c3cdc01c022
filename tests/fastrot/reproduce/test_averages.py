"""Tables of hand-written measurements: every number against hand computation, in every form of output."""

import csv
import json

import numpy as np
import pytest

from fastrot.evaluation.scores import Scores
from fastrot.reproduce.averages import fill_in
from fastrot.reproduce.output import Page
from fastrot.reproduce.run_plan import Entry, Fusion, Measurement, Reading, Snapshot, Table


def table_of(*entries, **changes):
    return Table("table0", "Table 0: by hand", entries, **changes)


@pytest.fixture
def three_seeds(bench):
    scratch = tuple(bench.measured(value, seed) for seed, value in enumerate((20, 40, 60)))
    ours = tuple(
        bench.measured(value, seed + 10, clip=value - 5) for seed, value in enumerate((30, 52, 74))
    )
    return table_of(
        Entry("scratch", "UCF101", 42.5, scratch),
        Entry("ours", "UCF101", 62.9, ours, scratch, 20.4),
        Entry("others", "UCF101", 65.8, source="somewhere else"),
        Entry("to come", "UCF101", 50.0, (never(bench),)),
    )


def never(bench):
    measurement = Measurement("action", Snapshot(bench.run(99)), bench.store, "test1", 1)
    return Reading(measurement, "video_top1")


def test_means_gains_and_differences_to_the_paper(bench, three_seeds):
    scratch, ours, others, missing = fill_in(three_seeds, bench.workshop)
    assert scratch.ours.mean == pytest.approx(40)
    assert scratch.ours.error == pytest.approx(20 / 3**0.5)
    assert scratch.difference.mean == pytest.approx(-2.5)
    assert scratch.difference.small  # 2.5 is less than twice 11.5
    assert ours.ours.mean == pytest.approx(52)
    assert ours.per_clip == pytest.approx(47)
    assert ours.gain.mean == pytest.approx(12)
    assert ours.gain.error == pytest.approx(2 / 3**0.5)
    assert ours.difference.mean == pytest.approx(-10.9)
    assert others.ours is None
    assert missing.ours is None


def test_the_rows_say_not_run_where_nothing_ran(bench, three_seeds):
    page = Page(three_seeds, fill_in(three_seeds, bench.workshop), "about", [])
    assert page.grid.header == [
        "",
        "UCF101 paper",
        "UCF101 ours",
        "UCF101 difference",
        "UCF101 per clip",
    ]
    assert page.grid.rows == [
        ["scratch", "42.5", "40.0 ± 11.5", "-2.5~", "40.0"],
        ["ours", "62.9 (+20.4)", "52.0 ± 12.7 (+12.0 ± 1.2)", "-10.9~", "47.0"],
        ["others", "65.8", "", "", ""],
        ["to come", "50.0", "not run", "", ""],
    ]
    assert "From somewhere else: others." in page.grid.notes


def test_markdown_csv_and_json_hold_the_same_numbers(bench, three_seeds, tmp_path):
    page = Page(three_seeds, fill_in(three_seeds, bench.workshop), "no claim", ["x"])
    page.write(tmp_path, bench.workshop)
    markdown = (tmp_path / "table0.md").read_text()
    assert "| ours | 62.9 (+20.4) | 52.0 ± 12.7 (+12.0 ± 1.2) | -10.9~ | 47.0 |" in markdown
    assert "no claim" in markdown
    with (tmp_path / "table0.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == ["scratch", "ours", "others", "to come"]
    assert float(rows[1]["difference"]) == pytest.approx(-10.9)
    assert float(rows[1]["gain"]) == pytest.approx(12)
    assert rows[3]["ours"] == ""
    values = json.loads((tmp_path / "table0.json").read_text())
    assert values["rows"] == page.grid.rows
    assert values["entries"][1]["gain_standard_error"] == pytest.approx(2 / 3**0.5)
    assert values["entries"][0]["gain"] is None


def test_against_chance(bench):
    # 29 % of 100 videos: error 100 sqrt(.29 * .71 / 100) = 4.54; 4 above chance is within twice that
    table = table_of(Entry("noise", "accuracy", None, (bench.measured(29, 0),), 25.0))
    (cell,) = fill_in(table, bench.workshop)
    assert cell.gain.mean == pytest.approx(4)
    assert cell.gain.small
    assert Page(table, [cell], "", []).grid.rows == [["noise", "29.0 ± 4.5 (+4.0 ± 4.5~)", "29.0"]]


def test_fusion_of_two_networks_is_read_from_their_scores(bench):
    """The order of geometric means is that of products."""
    labels = np.array([0, 1, 1, 0])
    first = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.4, 0.6]], np.float32)
    second = np.array([[0.3, 0.7], [0.1, 0.9], [0.6, 0.4], [0.9, 0.1]], np.float32)
    # products: .27 > .07; .06 < .36; .18 < .28; .36 > .06: all four are right, either alone has two
    readings = []
    for seed, softmax in ((1, first), (2, second)):
        right = 100 * float((softmax.argmax(axis=1) == labels).mean())
        reading = bench.measured(right, seed, videos=4)
        assert right == 50
        folder = bench.workshop.measurement_folder(reading.source)
        names = [f"v{i}" for i in range(4)]
        Scores(names, labels, softmax, ["a", "b"], "by hand").save(folder / "scores.npz")
        readings.append(reading)
    fused = Reading(Fusion(readings[0].source, readings[1].source), "video_top1")
    dif = (readings[1],)
    (cell,) = fill_in(table_of(Entry("Fusion", "UCF101", 76.6, (fused,), dif)), bench.workshop)
    assert cell.ours.mean == pytest.approx(100)
    assert cell.gain.mean == pytest.approx(50)
    assert cell.gain.error == pytest.approx(25)  # sqrt(.5 * .5 / 4); 100 % has none
    assert cell.difference.mean == pytest.approx(23.4)


def test_three_splits_of_a_fusion_need_all_of_them(bench):
    done = bench.measured(50, 1)
    fused = Reading(Fusion(done.source, never(bench).source), "video_top1")
    (cell,) = fill_in(table_of(Entry("Fusion", "UCF101", 76.6, (fused,))), bench.workshop)
    assert cell.ours is None
