"""The page of the recipes says what the tables say, nulls included."""

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "recipes_page.py"))


def entry(row, column, pairs, interval, *, converged=True):
    low, high = interval
    return {
        "row": row,
        "column": column,
        "ours": 40.0,
        "gain": (low + high) / 2,
        "gain_interval": list(interval),
        "gain_values": pairs,
        "gain_is_small": low <= 0 <= high,
        "converged": converged,
        "runs": ["long"],
    }


MAIN = "static, 60 epochs: augmented (main comparison)"


def entries(main_interval, **options):
    gain = "Gain over scratch"
    return [
        entry(MAIN, gain, [1, 4, 1, 6, 1], main_interval, **options),
        entry(MAIN, "Top-1", [3, 3], (1, 5)),
        entry("static, 60 epochs: speed", gain, [-2, 2], (-3, 3)),
    ]


def test_the_summary_states_the_main_comparison_and_every_other():
    main, exploratory, shown, null = SCRIPT["summary"](entries((0.5, 4.5)))
    assert "augmented, gain over scratch minus the paper's: +2.5 ± 2.0" in main
    assert "95 % interval +0.5 to +4.5. The interval is above 0." in main
    # pairs 1, 3 and 5 share a pre-training, and so do 2 and 4
    assert "Means of the pairs of each pre-training: +1.0, +5.0." in main
    assert "converged" not in main
    assert "2 comparisons" in exploratory
    assert shown.startswith("The interval excludes 0 (1):")
    assert "augmented, top-1 minus the paper's: +3.0 ± 2.0" in shown
    assert null.endswith(
        "- static, 60 epochs: speed, gain over scratch minus the paper's: +0.0 ± 3.0"
    )


def test_a_null_and_a_loss_are_called_so():
    assert "contains 0: a difference is not shown" in SCRIPT["summary"](entries((-1, 5)))[0]
    main = SCRIPT["summary"](entries((-5, -1), converged=False))[0]
    assert "The interval is below 0." in main
    assert main.endswith("Not all of its runs are converged.")


@pytest.fixture
def out(tmp_path):
    for key in SCRIPT["TABLES"]:
        table = {
            "title": f"Title of {key}",
            "header": ["", "ours"],
            "rows": [["row", "40.0"]],
            "notes": ["a note"],
            "about": "about",
            "entries": entries((0.5, 4.5)),
        }
        path = tmp_path / "out" / "tables" / f"{key}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(table))
    return tmp_path / "out"


def test_only_what_is_between_the_marks_is_replaced(out, tmp_path):
    page = tmp_path / "recipes.md"
    page.write_text((ROOT / "docs" / "recipes.md").read_text())
    for _ in range(2):  # also over earlier results
        SCRIPT["main"](out, page)
        text = page.read_text()
        before, _, after = (ROOT / "docs" / "recipes.md").read_text().partition(SCRIPT["BEGIN"])
        assert text.startswith(before)
        assert text.endswith(after.partition(SCRIPT["END"])[2])
        assert text.count("## Title of pretexts-probe\n\n|  | ours |") == 1
        assert text.count("Main comparison, named before the run**") == 1
    numbers = json.loads((tmp_path / "recipes.json").read_text())
    assert [each["gain_values"] for each in numbers["pretexts"]] == [
        [1, 4, 1, 6, 1],
        [3, 3],
        [-2, 2],
    ]
    assert "runs" not in numbers["pretexts"][0]


def test_unfinished_tables_are_refused(out, tmp_path):
    path = out / "tables" / "pretexts-probe.json"
    table = json.loads(path.read_text())
    table["entries"][1]["ours"] = None
    path.write_text(json.dumps(table))
    with pytest.raises(SystemExit, match=r"pretexts-probe\.json: static.*is not finished"):
        SCRIPT["main"](out, tmp_path / "page.md")
    path.unlink()
    with pytest.raises(SystemExit, match="does not exist: run `fastrot reproduce pretexts`"):
        SCRIPT["main"](out, tmp_path / "page.md")
