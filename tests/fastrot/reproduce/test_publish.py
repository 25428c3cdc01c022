"""The pages of several tables, by hand-written measurements."""

import json

import pytest

from fastrot.report.page import make_page
from fastrot.reproduce.output import LEGEND
from fastrot.reproduce.presets import Changes
from fastrot.reproduce.publish import publish
from fastrot.reproduce.run_plan import Entry, Snapshot, Table
from fastrot.reproduce.settings import demo_setting, paper_setting
from fastrot.reproduce.stores import DemoSizes


@pytest.fixture
def tables(bench):
    start = Snapshot(bench.run(task="rotation"))
    scratch = tuple(bench.measured(value, seed) for seed, value in enumerate((20, 40, 60)))
    ours = (bench.measured(50, 0, start=start),)
    cells = (
        Entry("scratch", "UCF101", 42.5, scratch),
        Entry("ours", "UCF101", 62.9, ours, scratch),
    )
    return Table("table2", "Table 2", cells), Table("table4", "Table 4", cells)


@pytest.fixture
def demo(tmp_path):
    return demo_setting(tmp_path / "demo", DemoSizes(), 1, Changes(), gpu=False).preset


def test_what_all_tables_share_stands_once_on_a_page(bench, tables, demo, capsys):
    publish(tables, bench.workshop, demo, None)
    out = bench.workshop.out
    pages = [
        (out / "results.md").read_text(),
        " ".join(capsys.readouterr().out.split()),
        make_page([out], "report"),
    ]
    for page in pages:
        assert page.count("these numbers say nothing about UCF101") == 1
        assert page.count("half-width of the 95 % confidence interval") == 1
        assert "Table 2 (generated videos)" in page
        assert "paper</th>" not in page
    # A table's own file is a page of its own.
    assert LEGEND in (out / "tables" / "table4.md").read_text()
    assert json.loads((out / "results.json").read_text())["tables"] == {
        "table2": "Table 2 (generated videos)",
        "table4": "Table 4 (generated videos)",
    }


def test_the_papers_preset_is_compared_with_the_paper(bench, tables, tmp_path):
    preset = paper_setting(tmp_path / "paper", {}, 1, Changes()).preset
    publish(tables, bench.workshop, preset, None)
    page = (bench.workshop.out / "results.md").read_text()
    assert "| UCF101 paper | UCF101 ours | UCF101 difference |" in page
    assert "generated" not in page
