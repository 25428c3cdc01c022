"""A part of a table: its runs, and how rows are named."""

import pytest

from fastrot.reproduce.chosen_rows import choose_rows
from fastrot.reproduce.run_plan import make_plan
from fastrot.reproduce.tables import BUILDERS
from pipelines.errors import UsageError


def rows(table):
    return list(dict.fromkeys(entry.row for entry in table.entries))


def test_table_2_runs_without_moments_in_time(paper_preset):
    table = choose_rows(BUILDERS["table2"](paper_preset.preset), ["Kinetics"])
    assert rows(table) == ["Ours (Kinetics)"]
    stores = {run.config.data.store for run in make_plan([table]).runs}
    assert stores == {"stores/kinetics", "stores/ucf101", "stores/hmdb51"}
    # its gain still needs training from scratch
    assert {run.start is None for run in make_plan([table]).runs if "101" in run.name} == {
        True,
        False,
    }


def test_a_whole_name_comes_before_a_part(paper_preset):
    table = BUILDERS["table5"](paper_preset.preset)
    assert rows(choose_rows(table, ["1", "full"])) == ["1", "Full"]  # 1 is also part of 10


@pytest.mark.parametrize(
    ("key", "name", "message"),
    [
        ("table2", "ours", "several rows of table2: Ours .Kinetics.; Ours .MT."),
        (
            "table2",
            "Sports",
            "no row of table2: 3DResNet .scratch. .14.; Ours .Kinetics.; Ours .MT.",
        ),
        ("figure5", "x", "figure5 is pictures"),
    ],
)
def test_names_that_are_not_one_row_list_the_rows(paper_preset, key, name, message):
    with pytest.raises(UsageError, match=message):
        choose_rows(BUILDERS[key](paper_preset.preset), [name])
