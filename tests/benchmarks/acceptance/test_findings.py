"""The page and the JSON are made from whatever rows there are."""

import pytest

from benchmarks import train
from benchmarks.acceptance import findings
from benchmarks.acceptance.parts import MACHINE
from benchmarks.acceptance.rows import ROWS, add_row, read_rows
from benchmarks.training import train_cases


def case(**figures):
    spread = {
        name: {"median": value, "q1": value, "q3": value, "values": [value]}
        for name, value in figures.items()
    }
    reasons = dict.fromkeys(("failed", "not_here", "not_reached"))
    return {"facts": {}, "repeats": 1, "figures": spread, **reasons}


@pytest.fixture
def content(tmp_path):
    path = tmp_path / ROWS
    add_row(path, MACHINE, "began", limit_s=30.0)
    add_row(path, MACHINE, "environment", environment={"device": "a GPU"}, gpu=True)
    add_row(path, MACHINE, "ended", status="done", took_s=9.0)
    add_row(path, "step", "began", limit_s=40.0)
    add_row(path, "step", "case", "fastrot", **case(ms_per_step=15.0))
    add_row(path, "step", "case", "matmul", **case(tflop_per_s=700.0))
    add_row(path, "step", "case", "step bound", **case(ms_per_step=12.0))
    add_row(path, "step", "goal", "share", value=0.4, goal=0.5, at_most=False, met=False)
    add_row(path, "step", "ended", status="stopped", error="not done after 40 s", took_s=40.0)
    add_row(path, "real data", "began", limit_s=40.0)
    add_row(path, "real data", "case", "step bound", **case(ms_per_step=13.0))
    add_row(path, "real data", "case", "real data: raw", **case(ms_per_step=16.0))
    add_row(path, "real data", "case", "real data: mjpeg", **case(ms_per_step=18.0))
    add_row(
        path, "real data", "case", "real data: h264", **{**case(), "not_here": "there is no NVDEC"}
    )
    add_row(path, "real data", "goal", "share", value=0.1, goal=0.5, at_most=False, met=False)
    add_row(path, "real data", "ended", status="done", took_s=30.0)
    add_row(path, "jpeg", "began", limit_s=0.0)
    add_row(path, "jpeg", "ended", status="not installed: PyAV", took_s=0.0)
    add_row(path, "tests", "began", limit_s=25.0)
    add_row(path, "tests", "test", "b.py", outcome="skipped", text="scipy is not installed")
    add_row(path, "tests", "test_list", names=["a.py::one", "a.py::two", "a.py::three"])
    add_row(path, "tests", "test", "a.py::one", outcome="passed", text="")
    add_row(path, "tests", "test", "a.py::two", outcome="failed", text="assert 1 == 2")
    return findings.content_of(read_rows(path))


def test_minutes_are_projected_and_stand_next_to_the_calculated_ones(content):
    # 104,000 steps of 18 ms are 31.2 minutes. The first part that measured a step decides.
    assert content["minutes"] == {
        "fastrot": pytest.approx(26.0),
        "step bound": pytest.approx(20.8),
        "real data: raw": pytest.approx(27.733, abs=1e-3),
        "real data: mjpeg": pytest.approx(31.2),
    }
    assert findings.project({}) == {}
    page = findings.render(content)
    assert "| step bound | 20.8 |" in page
    assert "| calculated for an H100: the eager step | 48 to 57 |" in page
    assert "| calculated for an H100: with all candidates | 32 |" in page


def test_tests_are_counted_and_those_that_did_not_run_are_named(content):
    tested = content["parts"]["tests"]["tested"]
    assert tested["counts"] == {"skipped": 1, "passed": 1, "failed": 1}
    assert tested["failures"] == {"a.py::two": "assert 1 == 2"}
    assert tested["not_run"] == ["a.py::three"]


def test_everything_that_was_skipped_is_named_with_the_reason(content):
    assert content["skipped"] == [
        "real data, real data: h264: there is no NVDEC",
        "jpeg: not installed: PyAV",
        "tests, 1 of them: scipy is not installed",
        "tests, a.py::three: did not run",
    ]


def test_the_page_shows_all_of_it(content):
    page = findings.render(content)
    assert "| device | a GPU |" in page
    assert "| share | 0.4 | at least 0.5 | no |" in page
    assert "| share | 0.1 |" not in page  # the first part that measured it decides
    assert "| real data: mjpeg | 31.2 |" in page
    assert "## step: stopped, 40 of 40 s\n\n- not done after 40 s" in page
    assert "| fastrot | 15.0 (15.0 to 15.0) | 1 |" in page
    assert "- FAILED a.py::two" in page
    assert "- 1 skipped, 1 passed, 1 failed" in page
    assert "## tests: stopped, 0 of 25 s" in page
    assert findings.failed(content)


def test_a_goal_of_a_single_measurement_is_not_judged_by_it(tmp_path):
    path = tmp_path / ROWS
    single = {"goal": 1.2, "at_most": True, "met": False, "judged": False}
    add_row(path, "variants", "goal", "bound", value=1.1, **single)
    page = findings.render(findings.content_of(read_rows(path)))
    assert "| bound | 1.10 | at most 1.20 | not judged |" in page
    # A later part that can judge it decides.
    repeated = {**single, "met": False, "judged": True}
    add_row(path, "step", "goal", "bound", value=4.2, **repeated)
    page = findings.render(findings.content_of(read_rows(path)))
    assert "| bound | 4.20 | at most 1.20 | no |" in page
    assert "not judged" not in page


def test_no_rows_make_a_page_too():
    content = findings.content_of([])
    assert not findings.failed(content)
    assert "- nothing" in findings.render(content)


def test_the_names_of_steps_are_those_of_the_benchmark():
    names = (findings.SYNTHETIC, findings.REAL, findings.BOUND)
    assert names == (train_cases.OURS, train_cases.REAL, train.BOUND)
