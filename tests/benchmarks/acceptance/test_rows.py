"""What is written survives a kill at any byte."""

import json
import time

from benchmarks.acceptance.rows import ROWS, SPARE_S, Turn, add_row, parts_of, read_rows
from benchmarks.harness.compared import Goal
from benchmarks.harness.measure import Figure, Outcome, Result


def turn_of(tmp_path, part="step", seconds=60.0):
    return Turn(tmp_path / ROWS, part, time.time() + seconds)


def test_a_file_that_was_cut_anywhere_keeps_its_whole_rows(tmp_path):
    path = tmp_path / ROWS
    for number in range(3):
        add_row(path, "step", "case", f"case {number}", figures={})
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1)
    for cut in range(last, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert [row["name"] for row in read_rows(path)] == ["case 0", "case 1"]
        add_row(path, "step", "case", "the next", figures={})
        assert [row["name"] for row in read_rows(path)] == ["case 0", "case 1", "the next"]


def test_no_file_has_no_rows(tmp_path):
    assert read_rows(tmp_path / ROWS) == []


def test_results_are_rows_when_they_change(tmp_path):
    turn = turn_of(tmp_path)
    waiting = Outcome("fastrot", not_reached="no time")
    measured = Outcome("fastrot", repeats=1, figures={"ms_per_step": Figure.of([15.0])})
    copy = Outcome("copy", repeats=1, figures={"gb_per_s": Figure.of([3000.0])})
    for outcome in (waiting, waiting, measured):
        goals = [Goal("share", outcome.median("ms_per_step"), 10, at_most=True)]
        turn.keep(Result("train", {}, [outcome], limits=[copy], goals=goals, notes=["a note"]))
    rows = read_rows(turn.path)
    assert [(row["kind"], row["name"]) for row in rows] == [
        ("case", "copy"),
        ("case", "fastrot"),
        ("goal", "share"),
        ("note", "a note"),
        ("case", "fastrot"),
        ("goal", "share"),
    ]
    part = parts_of(rows)["step"]
    assert part["cases"]["fastrot"]["figures"]["ms_per_step"]["median"] == 15
    assert part["cases"]["fastrot"]["not_reached"] is None
    assert part["goals"]["share"] == {
        "value": 15,
        "goal": 10,
        "at_most": True,
        "judged": True,
        "met": False,
    }
    assert part["notes"] == {"a note": {"text": "a note"}}


def test_single_figures_have_the_form_of_a_benchmarks_outcomes(tmp_path):
    turn = turn_of(tmp_path)
    turn.figures("kernel", own_ms=2.5)
    as_outcome = Outcome("kernel", repeats=1, figures={"own_ms": Figure.of([2.5])})
    turn_of(tmp_path, "other").keep(Result("x", {}, [as_outcome]))
    parts = parts_of(read_rows(turn.path))
    assert parts["step"]["cases"] == json.loads(json.dumps(parts["other"]["cases"]))


def test_a_later_turn_of_a_part_supersedes_the_earlier_one(tmp_path):
    path = tmp_path / ROWS
    for part, limit in (("step", 5.0), ("loader", 5.0)):
        add_row(path, part, "began", limit_s=limit)
        add_row(path, part, "case", "old", figures={})
        add_row(path, part, "ended", status="done", took_s=4.0)
    add_row(path, "step", "began", limit_s=7.0)
    add_row(path, "step", "case", "new", figures={})
    parts = parts_of(read_rows(path))
    assert list(parts) == ["loader", "step"]
    assert parts["loader"]["status"] == "done"
    assert list(parts["loader"]["cases"]) == ["old"]
    assert parts["step"]["status"] == "stopped"
    assert parts["step"]["error"] == "it has no end"
    assert list(parts["step"]["cases"]) == ["new"]


def test_a_turn_leaves_time_for_its_end(tmp_path):
    assert 9 - SPARE_S < turn_of(tmp_path, seconds=10).left_s <= 10 - SPARE_S
    assert turn_of(tmp_path, seconds=1).left_s == 0
