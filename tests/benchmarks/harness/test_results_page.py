import json

import pytest

from benchmarks.harness.compared import Goal, Ratio
from benchmarks.harness.measure import Figure, Outcome, Result
from benchmarks.harness.results_page import heading, markdown, number, tables, write
from benchmarks.harness.session import save
from pipelines.errors import FastrotError

ENVIRONMENT = {
    "date": "2026-01-02", "device": "cpu", "cpu": "A Processor", "usable_cores": 2, "cores": 4,
    "memory_gb": 8.0, "cpu_capability": "AVX2", "platform": "Linux", "python": "3.11.1",
    "packages": {"torch": "2.10"}, "cuda": None, "world_size": 1, "threads": 2, "precision": "fp32",
    "command": ["fastrot", "bench", "loader"],
}  # fmt: skip


def outcome(name, rate, **facts):
    return Outcome(name, facts, 3, {"clips_per_s": Figure.of([rate - 1, rate, rate + 3])})


RESULT = Result(
    "loader",
    {"batch": 16, "frames": [16, 32], "peer_processes": 2, "quick": False},
    [
        outcome("ours", 1200.0, by="fastrot", codec="mjpeg", frames=16, mb_per_video=1.25),
        outcome("ours, longer", 600.0, by="fastrot", frames=32, mb_per_video=1.25),
        outcome("peer", 40.0, by="peer", codec="mjpeg", frames=16, mb_per_video=1.25),
        Outcome("gone", {"by": "gone", "frames": 16}, not_here="not installed"),
        Outcome("gone too", {"by": "gone", "frames": 32}, not_here="not installed"),
        Outcome("broken", failed="ValueError: a | b"),
        Outcome("memory", {}, 1, {"growth_mb": Figure.of([0.5])}),
    ],
    limits=[outcome("copy", 9000.0)],
    ratios=[
        Ratio("mjpeg: ours over peer", "ours", "peer", 30.0, 28.5, 31.5, 8),
        Ratio("once", "ours", "peer", 30.0, None, None, 1),
    ],
    goals=[Goal("times the peer", 30.0, 2.0), Goal("growth", None, 32.0, at_most=True)],
    notes=["A note."],
)


def test_tables_group_cases_by_their_figures_and_say_what_has_none():
    cases, memory, limits, ratios = tables(RESULT.to_json())
    assert cases.header == ["case", "clips/s (higher is better)", "MB/video", "repeats"]
    assert cases.rows[0] == ["ours", "1,200 (1,200 to 1,202)", "1.25", "3"]
    assert cases.rows[3] == ["gone", "not here", "-", "0"]
    assert cases.rows[5] == ["broken", "failed", "-", "0"]
    assert cases.notes == [
        "gone; gone too: not here: not installed",
        "broken: failed: ValueError: a | b",
    ]
    assert memory.header[1] == "growth, MB (lower is better)"
    assert memory.rows == [["memory", "0.5 (0.5 to 0.5)", "1"]]
    assert limits.rows == [["copy", "9,000 (9,000 to 9,002)", "clips/s", "3"]]
    assert ratios.rows == [
        ["mjpeg: ours over peer", "30.00", "28.50 to 31.50", "8"],
        ["once", "30.00", "-", "1"],
    ]


def test_limits_of_several_units_are_one_table():
    disk = Outcome("disk", {}, 2, {"mb_per_s": Figure.of([500.0])})
    gone = Outcome("decoder", not_here="no GPU")
    result = Result("loader", {}, [], [outcome("copy", 9000.0), disk, gone])
    (limits,) = (grid for grid in tables(result.to_json()) if grid.title.endswith("limits"))
    assert [row[::2] for row in limits.rows] == [
        ["copy", "clips/s"],
        ["disk", "MB/s"],
        ["decoder", ""],
    ]
    assert limits.rows[2][1] == "not here: no GPU"


def test_a_page_has_no_goals(tmp_path):
    save(tmp_path / "run.json", ENVIRONMENT, [RESULT], took_s=9)
    content = json.loads((tmp_path / "run.json").read_text())
    assert content["results"][0]["goals"][0]["met"] is True
    assert "times the peer" not in markdown(content, None)


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        ("clips_per_s", "clips/s (higher is better)"),
        ("cpu_ms_per_clip", "CPU ms/clip (lower is better)"),
        ("first_batch_s", "first batch, s (lower is better)"),
        ("first_batch_mb", "first batch, MB (lower is better)"),
        ("data_wait_share", "data wait share"),
        ("share_of_matmul", "share of matmul"),
        ("peak_gb", "peak GB (lower is better)"),
        ("tflop_per_s", "TFLOP/s (higher is better)"),
        ("times_faster", "times faster"),
    ],
)
def test_headings_have_the_unit_and_what_is_better(figure, text):
    assert heading(figure) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0"),
        (1234.5, "1,234"),
        (99.96, "100.0"),
        (3.14159, "3.14"),
        (0.01234, "0.0123"),
    ],
)
def test_numbers_have_about_three_digits(value, text):
    assert number(value) == text


def test_results_of_earlier_versions_have_no_ratios():
    earlier = {key: value for key, value in RESULT.to_json().items() if key != "ratios"}
    assert len(tables(earlier)) == 3


def test_a_page_is_drawn_from_the_file_alone(tmp_path):
    save(
        tmp_path / "run.json",
        ENVIRONMENT,
        [RESULT, Result.of_failure("train", OSError("no"))],
        took_s=9,
    )
    paths = write(tmp_path / "run.json", tmp_path / "out")
    page = (tmp_path / "out" / "run.md").read_text()
    content = json.loads((tmp_path / "run.json").read_text())
    assert page == markdown(content, "run.png" if len(paths) == 2 else None)
    assert "| cpu | A Processor |" in page
    assert "- frames: 16, 32\n- peer processes: 2\n- quick: no\n" in page
    assert "| ours | 1,200 (1,200 to 1,202) |" in page
    assert "train: failed: OSError: no" in page
    for path in paths:
        assert path.stat().st_size > 0


@pytest.mark.parametrize("text", ["{}", "[1]", "no json"])
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(FastrotError, match="contains no results of fastrot bench"):
        write(tmp_path / "other.json", tmp_path)
