"""Tables of hand-written measurements: every number against hand computation, in every form of output."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from fastrot.evaluation.scores import Scores
from fastrot.reproduce.averages import fill_in, remarks
from fastrot.reproduce.output import Page, plain_cell
from fastrot.reproduce.run_plan import Entry, Fusion, Measurement, Reading, Snapshot, Table
from fastrot.reproduce.statistics import Spread

SPLITS = ("all", "test1", "train1")  # those of the test store


def table_of(*entries, **changes):
    return Table("table0", "Table 0: by hand", entries, **changes)


@pytest.fixture
def three_seeds(bench):
    scratch = tuple(bench.measured(value, seed) for seed, value in enumerate((20, 40, 60)))
    ours = tuple(
        bench.measured(value, seed, clip=value - 5, start=Snapshot(bench.run(task="rotation")))
        for seed, value in enumerate((30, 52, 74))
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
    assert scratch.difference.small  # 2.5 is less than 4.3 times 11.5
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
        ["scratch", "42.5", "40.0 ± 49.7", "-2.5~", "40.0"],
        ["ours", "62.9 (+20.4)", "52.0 ± 54.7 (+12.0 ± 5.0)", "-10.9~", "47.0"],
        ["others", "65.8", "", "", ""],
        ["to come", "50.0", "not run", "", ""],
    ]
    assert "From somewhere else: others." in page.grid.notes


def test_markdown_csv_and_json_hold_the_same_numbers(bench, three_seeds, tmp_path):
    page = Page(three_seeds, fill_in(three_seeds, bench.workshop), "no claim", ["x"])
    page.write(tmp_path, bench.workshop)
    markdown = (tmp_path / "table0.md").read_text()
    assert "| ours | 62.9 (+20.4) | 52.0 ± 54.7 (+12.0 ± 5.0) | -10.9~ | 47.0 |" in markdown
    assert "no claim" in markdown
    with (tmp_path / "table0.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == ["scratch", "ours", "others", "to come"]
    assert float(rows[1]["difference"]) == pytest.approx(-10.9)
    assert float(rows[1]["gain"]) == pytest.approx(12)
    assert [float(value) for value in rows[1]["values"].split()] == pytest.approx([30, 52, 74])
    assert rows[3]["ours"] == ""
    values = json.loads((tmp_path / "table0.json").read_text())
    assert values["rows"] == page.grid.rows
    assert values["entries"][1]["gain_standard_error"] == pytest.approx(2 / 3**0.5)
    assert values["entries"][0]["gain"] is None
    ours = values["entries"][1]
    assert (ours["seeds"], ours["splits"]) == ([0, 1, 2], ["test1"] * 3)
    assert ours["values"] == pytest.approx([30, 52, 74])
    assert ours["gain_values"] == pytest.approx([10, 12, 14])
    assert (ours["ours_count"], ours["ours_degrees_of_freedom"]) == (3, 2)
    # t(2) = 4.3027
    off = 4.3027 * 2 / 3**0.5
    assert ours["gain_interval"] == pytest.approx([12 - off, 12 + off], abs=1e-3)
    assert ours["interval_covers_seeds"] is True


def test_against_chance(bench):
    # 29 % of 100 videos: error 100 sqrt(.29 * .71 / 100) = 4.54, times 1.96: 8.9
    table = table_of(Entry("noise", "accuracy", None, (bench.measured(29, 0),), 25.0, chance=25.0))
    (cell,) = fill_in(table, bench.workshop)
    assert cell.gain.mean == pytest.approx(4)
    assert cell.gain.small
    page = Page(table, [cell], "", [])
    assert page.grid.header[2:] == ["accuracy chance", "accuracy per clip"]
    assert page.grid.rows == [["noise", "29.0 ± 8.9 (+4.0 ± 8.9~)", "25.0", "29.0"]]
    assert page.grid.notes == [
        "Spread over seeds unknown: the interval covers the test videos only."
    ]
    seeds = {(2, None, 0): Spread(3.0, 4)}
    (known,) = fill_in(table, bench.workshop, seeds)
    assert known.ours.error == pytest.approx((29 * 71 / 100 + 9) ** 0.5)
    assert Page(table, [known], "", []).grid.notes == [
        "Intervals of single runs include a standard deviation over seeds of 3.0 points "
        "(4 degrees of freedom)."
    ]


def test_an_interval_of_no_width_is_explained(bench):
    table = table_of(Entry("noise", "accuracy", None, (bench.measured(100, 0),)))
    (cell,) = fill_in(table, bench.workshop)
    assert cell.ours.text() == "100.0 ± 0.0"
    assert any(note.startswith("± 0.0: all averaged values") for note in remarks([cell]))


def test_a_cell_of_some_of_its_seeds_says_how_many(bench):
    ours = (bench.measured(50, 0), bench.measured(52, 1), never(bench))
    table = table_of(Entry("ours", "UCF101", None, ours))
    cells = fill_in(table, bench.workshop)
    assert Page(table, cells, "", []).grid.rows == [["ours", "2 of 3 runs"]]


def test_only_the_rows_whose_spread_is_unknown_are_named(bench, three_seeds):
    table = table_of(three_seeds.entries[0], Entry("one", "UCF101", None, (bench.measured(9, 7),)))
    assert remarks(fill_in(table, bench.workshop)) == [
        "one (UCF101): spread over seeds unknown: the interval covers the test videos only."
    ]


def test_generated_videos_are_not_compared_with_the_paper(bench, three_seeds, tmp_path):
    theirs, own = "A note on the paper's.", "A note on our own runs."
    elsewhere = replace(three_seeds.entries[0], row="theirs", source="somewhere else")
    table = table_of(*three_seeds.entries, elsewhere, notes=(own,), paper_notes=(theirs,))
    cells = fill_in(table, bench.workshop)
    page = Page(table, cells, "no claim", ["x"], generated=True)
    assert own in page.grid.notes
    assert theirs not in page.grid.notes
    assert theirs in Page(table, cells, "", []).grid.notes
    assert page.grid.title == "Table 0: by hand (generated videos)"
    assert page.grid.header == ["", "UCF101 ours", "UCF101 gain", "UCF101 per clip"]
    assert page.grid.rows == [
        ["scratch", "40.0 ± 49.7", "", "40.0"],
        ["ours", "52.0 ± 54.7", "+12.0 ± 5.0", "47.0"],
        ["to come", "not run", "", ""],
        ["theirs", "40.0 ± 49.7", "", "40.0"],
    ]
    assert not any("somewhere else" in note for note in page.grid.notes)
    page.write(tmp_path, bench.workshop)
    (entry, *_) = json.loads((tmp_path / "table0.json").read_text())["entries"]
    assert not {"paper", "difference", "paper_gain", "source"} & entry.keys()


def test_rows_below_90_percent_in_training_are_marked(bench, tmp_path):
    start = Snapshot(bench.run(task="rotation"))
    scratch, ours = bench.measured(40, 0), bench.measured(50, 0, start=start)
    bench.finished(scratch.source.of.run, [(2, 0.85, 10)])
    bench.finished(ours.source.of.run, [(2, 0.95, 10)])
    bench.finished(start.run, [(2, 0.1, 10)])  # a pretext task's accuracy does not count
    table = table_of(
        Entry("scratch", "UCF101", None, (scratch,)),
        Entry("ours", "UCF101", None, (ours,), (scratch,)),
    )
    page = Page(table, fill_in(table, bench.workshop), "", [])
    assert page.grid.header[-1] == "UCF101 train"
    assert [row[-1] for row in page.grid.rows] == [
        "85.0, not converged",
        "95.0 / 85.0, not converged",
    ]
    page.write(tmp_path, bench.workshop)
    with (tmp_path / "table0.csv").open() as file:
        assert [row["converged"] for row in csv.DictReader(file)] == ["False", "False"]
    entries = json.loads((tmp_path / "table0.json").read_text())["entries"]
    assert entries[1]["train_values"] == [95]
    assert {run["stage"] for run in entries[1]["runs"]} == {"fine-tuning", "pre-training"}
    bench.finished(scratch.source.of.run, [(2, 0.91, 10)])
    (_, done) = fill_in(table, bench.workshop)
    assert done.converged is True


def test_one_run_of_several_that_did_not_converge_marks_their_mean(bench):
    runs = [bench.measured(50, seed) for seed in range(3)]
    for reading, accuracy in zip(runs, (1.0, 1.0, 0.72), strict=True):
        bench.finished(reading.source.of.run, [(2, accuracy, 10)])
    table = table_of(Entry("ours", "UCF101", None, tuple(runs)))
    page = Page(table, fill_in(table, bench.workshop), "", [])
    assert page.grid.rows[0][-1] == "90.7, not converged"


def test_frozen_blocks_limit_the_training_accuracy(bench):
    free, frozen = bench.measured(50, 0), bench.measured(20, 1, freeze=5)
    table = table_of(
        Entry("free", "UCF101", None, (free,)), Entry("all", "UCF101", None, (frozen,), (free,))
    )
    bench.finished(frozen.source.of.run, [(2, 0.3, 10)])
    for accuracy, mark, converged in ((0.95, "", None), (0.8, ", not converged", False)):
        bench.finished(free.source.of.run, [(2, accuracy, 10)])
        page = Page(table, fill_in(table, bench.workshop), "", [])
        assert page.grid.rows[1][-1] == f"30.0 / {100 * accuracy:.1f}{mark}"
        assert page.cells[1].converged is converged


def test_runs_that_were_computed_differently_are_named(bench):
    start = Snapshot(bench.run(task="rotation"))
    scratch, ours = bench.measured(40, 0), bench.measured(50, 0, start=start)
    bench.finished(scratch.source.of.run)
    bench.finished(ours.source.of.run, precision="bf16")
    bench.finished(start.run, world_size=8)  # another stage may use more processes
    table = table_of(
        Entry("scratch", "UCF101", None, (scratch,)),
        Entry("ours", "UCF101", None, (ours,), (scratch,)),
    )
    cells = fill_in(table, bench.workshop)
    assert remarks(cells)[1:] == [
        "Runs of fine-tuning differ in precision: fp32 in scratch; bf16 in ours."
    ]
    # A baseline that is no row of the table is still named.
    assert remarks(cells[1:])[1:] == [
        "Runs of fine-tuning differ in precision: bf16 in ours; fp32 in the comparison of ours."
    ]


def test_means_over_splits_say_that_splits_overlap(bench):
    splits = tuple(bench.measured(50 + at, 0, split=split) for at, split in enumerate(SPLITS))
    cells = fill_in(table_of(Entry("ours", "UCF101", None, splits)), bench.workshop)
    (note,) = remarks(cells)
    assert "treat the splits as independent" in note
    assert "the same seed" in note
    assert plain_cell(cells[0], generated=False)["interval_covers_seeds"] is False


def test_chance_is_read_from_the_measurement(bench):
    measurement = Measurement("retrieval", Snapshot(bench.run()), bench.store, "test1", 1)
    folder = bench.workshop.measurement_folder(measurement)
    folder.mkdir(parents=True)
    values = {"trained": [0.3, 0.6], "chance": [0.1, 0.4], "protocol": {"videos": 100}}
    (folder / "results.json").write_text(json.dumps(values))
    table = table_of(Entry("hit at 5", "UCF101", None, (Reading(measurement, "trained", 1),)))
    (cell,) = fill_in(table, bench.workshop)
    assert cell.chance == pytest.approx(40)


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
    # DIF is right on the second and the fourth video: differences 1, 0, 1, 0
    assert cell.gain.error == pytest.approx(100 * (1 / 3 / 4) ** 0.5)
    assert cell.difference.mean == pytest.approx(23.4)


def test_three_splits_of_a_fusion_need_all_of_them(bench):
    done = bench.measured(50, 1)
    fused = Reading(Fusion(done.source, never(bench).source), "video_top1")
    (cell,) = fill_in(table_of(Entry("Fusion", "UCF101", 76.6, (fused,))), bench.workshop)
    assert cell.ours is None
