"""Notes that depend on the numbers."""

import json

from fastrot.reproduce.averages import fill_in
from fastrot.reproduce.output import Page
from fastrot.reproduce.remarks import untrained
from fastrot.reproduce.run_plan import Entry, Measurement, Reading, Snapshot, Table


def angles(bench, degrees, seed):
    """Return the entry of a measured mean angular error whose standard error is 1 degree."""
    measurement = Measurement("rotation", Snapshot(bench.run(seed)), bench.store, "test1", 1)
    folder = bench.workshop.measurement_folder(measurement)
    folder.mkdir(parents=True)
    values = {
        "mean_error_degrees": degrees,
        "mean_error_standard_error": 1.0,
        "protocol": {
            **{"store": bench.store, "split": "test1", "videos": 100, "clips_per_video": 1},
            **{"frames": 4, "stride": 1, "modality": "rgb", "crop": 32, "size": 40, "weights": "x"},
        },
    }
    (folder / "results.json").write_text(json.dumps(values))
    reading = Reading(
        measurement, "mean_error_degrees", scale=1.0, error_key="mean_error_standard_error"
    )
    return Entry(f"net {seed}", "Angular error", None, (reading,), 90.0, chance=90.0, lower=True)


def test_an_error_that_does_not_beat_random_answers_marks_its_row(bench):
    entries = [angles(bench, degrees, seed) for seed, degrees in enumerate((92.0, 89.9, 40.0))]
    cells = fill_in(Table("table0", "Table 0", entries), bench.workshop)
    assert [cell.ours.mean for cell in cells] == [92.0, 89.9, 40.0]  # degrees, not %
    worse, as_good, better = (f"net {seed}: not trained" for seed in range(3))
    notes = untrained(cells)
    assert [note.partition(".")[0] for note in notes] == [worse, as_good]
    assert "angular error is not shown to be below 90" in notes[0]
    shown = Page(Table("table0", "Table 0", entries), cells, "", []).grid.notes
    assert set(notes) <= set(shown)
    assert not any(better in note for note in shown)


def test_accuracies_and_what_was_not_measured_have_no_mark(bench):
    accuracy = Entry("noise", "accuracy", None, (bench.measured(20, 7),), 25.0, chance=25.0)
    measurement = Measurement("rotation", Snapshot(bench.run(9)), bench.store, "test1", 1)
    missing = Entry("later", "error", None, (Reading(measurement, "x"),), 90.0, lower=True)
    table = Table("table0", "Table 0", [accuracy, missing])
    assert untrained(fill_in(table, bench.workshop)) == []
