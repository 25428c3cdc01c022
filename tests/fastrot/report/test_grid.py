"""One table in every form: what a cell holds reaches the terminal, Markdown and HTML unchanged."""

import io

import pytest
from rich.console import Console

from fastrot.report.grid import Grid

GRID = Grid("Title [bold]", ["case", "x"], [["a | b", "1"], ["[red]c<d>", "22"]], ["why [not]"])


def test_markdown() -> None:
    assert GRID.to_markdown() == (
        "| case | x |\n| --- | ---: |\n| a \\| b | 1 |\n| [red]c<d> | 22 |\n\n- why [not]\n"
    )
    assert (
        Grid("t", ["case"], [["a\nb"]]).to_markdown("##") == "## t\n\n| case |\n| --- |\n| a b |\n"
    )


def test_terminal() -> None:
    file = io.StringIO()
    Console(file=file, width=80).print(GRID.to_rich())
    lines = [line.strip() for line in file.getvalue().splitlines()]
    assert lines[0] == "Title [bold]"
    assert "│ a | b     │  1 │" in lines
    assert "│ [red]c<d> │ 22 │" in lines
    assert lines[-1] == "why [not]"


def test_html() -> None:
    page = GRID.to_html()
    assert page.startswith("<h3>Title [bold]</h3>")
    assert '<tr><th scope="row">[red]c&lt;d&gt;</th><td>22</td></tr>' in page
    assert page.endswith('<ul class="notes"><li>why [not]</li></ul>')
    assert "<ul" not in Grid("t", ["a"], []).to_html()


NAMES = ["ucf101-1-from-kinetics-dif-8-s1-s1", "hmdb51-1-from-moments-dif-8-s2"]
WIDE = Grid(
    "2 training runs, 3 measurements of an accuracy",
    ["run", "starts from", "length", "compute", "time", "state"],
    [[name, "kinetics-dif-8-s1", "1,800 steps", "7.8 TFLOP", "0.1 min", "to do"] for name in NAMES],
    ["a note of several words that is longer than a narrow terminal is wide"],
)


def lines_at(width: int, grid: Grid) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width).print(grid.to_rich())
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [120, 100, 80, 60, 40])
def test_no_word_is_broken_and_nothing_overflows(width: int) -> None:
    lines = lines_at(width, WIDE)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).replace("│", " ").replace("┃", " ").split()
    cells = [WIDE.title, *WIDE.header[1:], *WIDE.notes, *(c for row in WIDE.rows for c in row)]
    for word in " ".join(cells).split():
        assert {word, f"{word}:"} & set(words), word


def test_the_form_follows_the_width() -> None:
    rule = [any("┃" in line for line in lines_at(width, WIDE)) for width in (120, 80, 60)]
    assert rule == [True, False, False]
    (row,) = (line for line in lines_at(80, WIDE) if NAMES[0] in line)
    assert row.split()[1] == "kinetics-dif-8-s1"


def test_a_narrow_terminal_gets_a_list_without_empty_cells() -> None:
    grid = Grid("t", WIDE.header, [[*WIDE.rows[0][:4], "", "to do"]])
    assert lines_at(40, grid) == [
        "t",
        NAMES[0],
        "  starts from: kinetics-dif-8-s1",
        "  length: 1,800 steps",
        "  compute: 7.8 TFLOP",
        "  state: to do",
    ]
