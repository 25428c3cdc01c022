"""One table in every form: what a cell holds reaches the terminal, Markdown and HTML unchanged."""

import io

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
