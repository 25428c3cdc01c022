"""Tables: every row of the paper, which runs a row reads, and what it is compared with."""

import re

import pytest

from fastrot.reproduce.listing import rows_of
from fastrot.reproduce.output import Page
from fastrot.reproduce.run_plan import Table, measurement_id, run_id
from fastrot.reproduce.tables import BUILDERS
from fastrot.rotation.angles import SIGMA

# Typed from the paper once more, independently of fastrot.reproduce.paper.
ROWS = {
    "Table 1": ["Kinetics: UCF101 92.79, HMDB51 93.66", "MT: UCF101 93.21, HMDB51 89.88"],
    "Table 2": [
        "3DResNet (scratch) [14]: UCF101 42.5, HMDB51 17.0",
        "Ours (Kinetics): UCF101 62.9, HMDB51 33.7",
        "Ours (MT): UCF101 62.8, HMDB51 29.6",
    ],
    "Table 3": [
        "0, 90: UCF101 50.94",
        "90, 180, 270: UCF101 58.79",
        "0, 90, 180: UCF101 59.24",
        "0, 90, 180, 270: UCF101 62.9",
        "8 rotations, 45 apart: UCF101 57.0",
        "360, by regression: UCF101 60.9",
    ],
    "Table 4": [
        "0: UCF101 42.5, HMDB51 17.0",
        "100,000: UCF101 56.4, HMDB51 27.3",
        "200,000: UCF101 58.3, HMDB51 28.1",
        "400,000: UCF101 60.7, HMDB51 28.6",
        "All: UCF101 62.9, HMDB51 33.7",
    ],
    "Table 5": [
        "1: Scratch 8.33, 3DRotNet 15.0",
        "5: Scratch 15.2, 3DRotNet 31.5",
        "10: Scratch 19.9, 3DRotNet 40.4",
        "20: Scratch 21.7, 3DRotNet 47.1",
        "Full: Scratch 42.5, 3DRotNet 62.9",
    ],
    "Table 6": [
        "16-RGB: UCF101 62.9, HMDB51 33.7",
        "32-RGB: UCF101 64.5, HMDB51 34.3",
        "64-RGB: UCF101 66.4, HMDB51 37.4",
        "16-DIF: UCF101 70.8, HMDB51 40.0",
        "64-DIF: UCF101 73.4, HMDB51 42.0",
    ],
    "Table 7": [
        "C3D (Sport-1M), supervised: UCF101 82.3, HMDB51",
        "3DResNet-18 (Kinetics), supervised: UCF101 84.4, HMDB51 56.4",
        "P3D (Kinetics), supervised: UCF101 84.4, HMDB51",
        "ObjectPatch [47], 2D CNN: UCF101 42.7, HMDB51 15.6",
        "TemporalCoherency [30], 2D CNN: UCF101 45.4, HMDB51 15.9",
        "ShuffleLearn [29], 2D CNN: UCF101 50.9, HMDB51 19.8",
        "GeometryGuided [11], 2D CNN: UCF101 54.1, HMDB51 22.6",
        "AOT [49], 2D CNN: UCF101 55.3, HMDB51",
        "OPN [26], 2D CNN: UCF101 56.3, HMDB51 22.1",
        "CrossLearn [39], 2D CNN: UCF101 58.7, HMDB51 27.2",
        "O3N [10], 2D CNN: UCF101 60.3, HMDB51 32.5",
        "3D AE [22], 3D CNN: UCF101 48.7, HMDB51",
        "3D AE + future [22], 3D CNN: UCF101 50.1, HMDB51",
        "3D inpainting [22], 3D CNN: UCF101 50.9, HMDB51",
        "VideoGAN [43], 3D CNN: UCF101 52.1, HMDB51",
        "3DCubicPuzzle [22], 3D CNN: UCF101 65.8, HMDB51 33.7",
        "Ours-RGB: UCF101 66.0 (3 runs averaged), HMDB51 37.1 (3 runs averaged)",
        "Ours-DIF: UCF101 74.3 (3 runs averaged), HMDB51 42.5 (3 runs averaged)",
        "Ours-Fusion: UCF101 76.6 (3 runs averaged), HMDB51 47.0 (3 runs averaged)",
    ],
}


@pytest.mark.parametrize("table", list(ROWS))
def test_the_dry_run_of_the_paper_has_every_row(paper_preset, table):
    key = table.lower().replace(" ", "")
    title, *rows = rows_of((BUILDERS[key](paper_preset.preset),), generated=False)
    assert title.startswith(table)
    found = [row.strip().partition(", Pretext accuracy")[0] for row in rows]
    for row in ROWS[table]:
        assert row in found
    if table != "Table 7":  # which has later numbers of others besides
        assert found == ROWS[table]


def test_the_dry_run_of_the_demo_has_nothing_of_the_paper(demo_preset):
    title, *rows = rows_of((BUILDERS["table7"](demo_preset),), generated=True)
    assert title.endswith("(generated videos)")
    assert [row.strip() for row in rows] == [
        f"Ours-{name}: UCF101 (3 runs averaged), HMDB51 (3 runs averaged)"
        for name in ("RGB", "DIF", "Fusion")
    ]
    (_, scratch, *_) = rows_of((BUILDERS["table2"](demo_preset),), generated=True)
    assert scratch.endswith(": UCF101 (3 runs averaged), HMDB51 (3 runs averaged)")


def starts_of(readings):
    """Return the names of the pre-trainings, seed by seed."""
    starts = [reading.source.of.run.start for reading in readings]
    return [start.run.name if start else None for start in starts]


def cells(preset, key):
    return {(entry.row, entry.column): entry for entry in BUILDERS[key](preset).entries}


def ids_of(readings):
    return [measurement_id(reading.source) for reading in readings]


def test_the_demos_main_rows_have_a_pretraining_for_each_seed(demo_preset):
    one, three = (
        ["kinetics-dif-8"],
        ["kinetics-dif-8", "kinetics-dif-8-s1", "kinetics-dif-8-s2"],
    )
    table2, table5 = cells(demo_preset, "table2"), cells(demo_preset, "table5")
    assert starts_of(table2["Ours (Kinetics)", "UCF101"].ours) == three
    assert starts_of(table2["Ours (Kinetics)", "HMDB51"].ours) == 3 * one
    assert starts_of(table2["Ours (MT)", "UCF101"].ours) == 3 * ["moments-dif-8"]
    assert starts_of(table5["5", "3DRotNet"].ours) == three
    assert starts_of(table5["10", "3DRotNet"].ours) == 3 * one
    for entry in BUILDERS["budget"](demo_preset).entries:
        assert starts_of(entry.ours) == (three if entry.column == "3DRotNet" else 3 * [None])
    runs = [reading.source.of.run for reading in table2["Ours (Kinetics)", "UCF101"].ours]
    assert (
        [run.config.seed for run in runs]
        == [run.start.run.config.seed for run in runs]
        == [0, 1, 2]
    )


def test_notes_name_the_rows_with_one_pretraining_for_all_seeds(demo_preset):
    for table, shared in (
        ("table2", "Ours (MT), and Ours (Kinetics) on HMDB51: all seeds start from one"),
        ("table5", "3DRotNet in the other rows: all seeds start from one"),
        ("budget", ""),  # every network has its own
    ):
        (note,) = [note for note in BUILDERS[table](demo_preset).notes if "pre-training." in note]
        _, _, after = note.partition("every seed has its own pre-training.")
        assert after.strip().startswith(shared)
        assert bool(after) == bool(shared)


def test_every_table_compares_with_the_same_scratch(demo_preset):
    baseline = {
        column: ids_of(cells(demo_preset, "table2")["3DResNet (scratch)", column].ours)
        for column in ("UCF101", "HMDB51")
    }
    assert len(set(baseline["UCF101"] + baseline["HMDB51"])) == 6
    for key in ("table2", "table4", "supervised"):
        compared = [entry for entry in BUILDERS[key](demo_preset).entries if entry.against]
        assert compared
        for entry in compared:
            assert ids_of(entry.against) == baseline[entry.column], (key, entry.row)
    full = cells(demo_preset, "table5")["Full", "3DRotNet"]
    assert ids_of(full.against) == baseline["UCF101"]


def test_one_transfer_is_one_number_in_all_tables(demo_preset):
    of = {
        column: ids_of(cells(demo_preset, "table2")["Ours (Kinetics)", column].ours)
        for column in ("UCF101", "HMDB51")
    }
    for key, row in (
        ("table4", "All"),
        ("figure4a", ">C1 (none)"),
        ("supervised", "3DRotNet (Kinetics)"),
        ("table3", "0, 90, 180, 270"),
    ):
        found = [entry for entry in BUILDERS[key](demo_preset).entries if entry.row == row]
        assert any(entry.column in of for entry in found)
        for entry in found:
            if entry.column in of:
                assert ids_of(entry.ours) == of[entry.column], key


def steps_of(preset, key):
    """Return the lengths of a table's fine-tunings by row."""
    steps = {}
    for entry in BUILDERS[key](preset).entries:
        for reading in entry.ours:
            for measurement in reading.measurements:
                if measurement.kind == "action":
                    train = measurement.of.run.config.train
                    steps.setdefault(entry.row, set()).add(train.iterations)
    return steps


def test_the_demo_trains_in_full_but_for_few_shots_and_short_tables(demo_preset):
    full = demo_preset.finetune("ucf101", None).config.train.iterations
    assert full >= 600  # a scratch network of 200 steps is still on its way
    for key in ("table2", "table3", "table4", "figure4a", "figure4b", "supervised"):
        assert set().union(*steps_of(demo_preset, key).values()) == {full}, key
    few = {"1": {200}, "5": {300}, "10": {600}, "20": {1200}}
    assert steps_of(demo_preset, "table5") == {**few, "Full": {full}}
    for key in ("table6", "table7", "fit"):
        assert set().union(*steps_of(demo_preset, key).values()) == {120}, key
    rows = {"200 steps": {200}, "600 steps": {600}, "1,800 steps": {1800}}
    assert steps_of(demo_preset, "budget") == rows


def test_a_budget_of_the_full_length_is_the_run_of_table_2(demo_preset):
    run = demo_preset.finetune("ucf101", None)
    full = demo_preset.finetune("ucf101", None, budget=run.config.train.iterations)
    assert run_id(full) == run_id(run)
    assert run_id(demo_preset.finetune("ucf101", None, budget=200)) != run_id(run)


def test_the_papers_budget_scales_the_drops_and_ends_in_table_2(paper_preset):
    preset = paper_preset.preset
    budget, table2 = cells(preset, "budget"), cells(preset, "table2")
    found = {}
    for (row, column), entry in budget.items():
        if column == "Scratch":
            config = entry.ours[0].source.of.run.config
            found[row] = (config.train.epochs, config.optim.step_size, config.optim.lr)
    assert found == {
        "10 epochs": (10, 400, 0.008),
        "30 epochs": (30, 1200, 0.008),
        "100 epochs": (100, 4000, 0.008),
    }
    ours = table2["Ours (Kinetics)", "UCF101"].ours
    assert ids_of(budget["100 epochs", "3DRotNet"].ours) == ids_of(ours)


def entries_with(preset, key):
    item = BUILDERS[key](preset)
    return list(item.entries) if isinstance(item, Table) else []


def test_every_action_accuracy_has_its_chance(paper_preset, demo_preset):
    for preset, chances in (
        (paper_preset.preset, {"ucf101": 100 / 101, "hmdb51": 100 / 51}),
        (demo_preset, {"ucf101": 100 / 12, "hmdb51": 100 / 12}),
    ):
        for key in BUILDERS:
            for entry in entries_with(preset, key):
                for reading in entry.ours:
                    if reading.key == "video_top1":
                        store = reading.measurements[0].store.rpartition("/")[2]
                        assert entry.chance == pytest.approx(chances[store.partition("-")[0]]), key


def test_table_3_shows_the_pretext_with_its_chance(paper_preset):
    table = cells(paper_preset.preset, "table3")
    found = {
        row: entry.chance for (row, column), entry in table.items() if column.startswith("Pre")
    }
    assert found == {
        "0, 90": 50,
        "90, 180, 270": pytest.approx(100 / 3),
        "0, 90, 180": pytest.approx(100 / 3),
        "0, 90, 180, 270": 25,
        "8 rotations, 45 apart": 12.5,
        "360, by regression": 12.5,  # 45 of 360 degrees
    }
    for (row, column), entry in table.items():
        if column.startswith("Pre"):
            (measurement,) = entry.ours[0].measurements
            assert (measurement.kind, measurement.split) == ("rotation", "test1")
            (action,) = table[row, "UCF101"].ours[0].measurements
            assert action.of.run.start.run.name == measurement.of.run.name
    error = table["360, by regression", "Angular error in degrees"]
    assert (error.against, error.chance, error.lower) == (90, 90, True)
    assert error.ours[0].scale == 1
    assert error.ours[0].error_key == "mean_error_standard_error"


def test_table_3_says_what_other_angles_see(paper_preset, demo_preset):
    assert SIGMA == 1.2
    # (112 - 10) / sqrt(2) = 72.1, (56 - 10) / sqrt(2) = 32.5
    for preset, patch in ((paper_preset.preset, "72 of 112"), (demo_preset, "32 of 56")):
        (note,) = [note for note in BUILDERS["table3"](preset).notes if "patch" in note]
        assert patch in note
        assert "Gaussian of 1.2 pixels" in note


def test_other_tables_show_the_pretext_of_the_networks_they_transfer(demo_preset):
    for key, rows in (("table4", 4), ("table6", 5)):
        table = cells(demo_preset, key)
        pretext = {row: entry for (row, column), entry in table.items() if column.startswith("Pre")}
        assert len(pretext) == rows
        for row, entry in pretext.items():
            assert entry.chance == 25
            starts = starts_of(table[row, "UCF101"].ours)
            assert [each.source.of.run.name for each in entry.ours] == starts
            stores = {reading.source.store for reading in (*entry.ours, *table[row, "UCF101"].ours)}
            assert len(stores) == 1  # clips of the same size


def test_numbers_that_are_not_the_papers_own_are_labelled(paper_preset):
    preset = paper_preset.preset
    table2 = BUILDERS["table2"](preset)
    (row,) = {entry.row for entry in table2.entries if "scratch" in entry.row}
    assert "[14]" in row
    assert any("Hara et al." in note for note in table2.paper_notes)
    (byol,) = {entry.row for entry in BUILDERS["table7"](preset).entries if "BYOL" in entry.row}
    assert "split 1" in byol
    assert any(
        "6,770" in note and "6,766" in note for note in BUILDERS["table1"](preset).paper_notes
    )


def test_no_table_of_generated_videos_speaks_of_other_results(demo_preset, paper_preset):
    """Neither the paper's numbers nor published ones can be compared with them."""
    elsewhere = re.compile(
        r"paper's|paper prints|in the paper|its text|published|hara|\[14\]", re.IGNORECASE
    )

    def said(preset, generated):
        for build in BUILDERS.values():
            item = build(preset)
            grid = (
                Page(item, [], "", [], generated=generated).grid
                if isinstance(item, Table)
                else item
            )
            rows = [entry.row for entry in getattr(item, "entries", ()) if entry.ours]
            for text in (*grid.notes, *rows):
                yield text.replace("Not in the paper", "")

    assert not [text for text in said(demo_preset, generated=True) if elsewhere.search(text)]
    assert [text for text in said(paper_preset.preset, generated=False) if elsewhere.search(text)]


def test_every_table_says_of_how_many_pretrainings_it_is(demo_preset):
    for key, build in BUILDERS.items():
        notes = " ".join(build(demo_preset).notes)
        if key != "audit":
            said = ("pre-training", "One network of each kind", "Table 2")
            assert any(each in notes for each in said), key


def test_supervised_names_the_videos_of_both(paper_preset):
    notes = " ".join(BUILDERS["supervised"](paper_preset.preset).notes)
    assert "split `train`; rotations: `all`" in notes
