"""A table of results, rendered for the terminal, in Markdown or in HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from fastrot.report.markup import element, text


@dataclass(frozen=True)
class Grid:
    """A table of text.

    Attributes:
        title: Title of the table.
        header: Names of the columns; the first column contains the names of the rows.
        rows: The cells of each row, as many as in ``header``.
        notes: Remarks below the table.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def to_rich(self) -> RenderableType:
        """Return the table and its notes for a terminal.

        No word is broken: on a terminal that is too narrow, the table has no lines, or each row is a list.
        """
        return _Fitting(self)

    def _table(self, widths: Sequence[int], *, lines: bool) -> Table:
        plain: dict[str, Any] = {"box": None, "padding": (0, 1, 0, 0), "pad_edge": False}
        table = Table(title=Text(self.title), **({} if lines else plain))
        for at, width in enumerate(widths):
            name = Text(self.header[at])
            table.add_column(name, justify="right" if at else "left", width=width)
        for row in self.rows:
            table.add_row(*map(Text, row))
        return table

    def _list(self) -> list[Text]:
        """Return a line for each row's name and, indented, one for each of its other cells."""
        lines = [Text(self.title, style="bold")]
        for row in self.rows:
            lines.append(Text(row[0]))
            lines += [
                Text(f"  {name}: {cell}")
                for name, cell in zip(self.header[1:], row[1:], strict=True)
                if cell
            ]
        return lines

    def _widths(self, room: int) -> list[int] | None:
        """Return a width for each column, ``room`` in total or less, or None if a word would be broken."""
        columns = list(zip(self.header, *self.rows, strict=True))
        least = [max(map(_longest_word, column)) for column in columns]
        widths = [max(map(cell_len, column)) for column in columns]
        if sum(least) > room:
            return None
        while sum(widths) > room:
            # The column with the most to spare gives one.
            spare = [width - word for width, word in zip(widths, least, strict=True)]
            widths[spare.index(max(spare))] -= 1
        return widths

    def to_markdown(self, heading: str = "") -> str:
        """Return the table and its notes in Markdown, with the title after ``heading``, such as "##"."""
        lines = [self.header, ["---"] + ["---:"] * (len(self.header) - 1)]
        lines += [
            [cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in self.rows
        ]
        title = f"{heading} {self.title}\n\n" if heading else ""
        table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        notes = "\n" + "".join(f"- {note}\n" for note in self.notes) if self.notes else ""
        return title + table + notes

    def to_html(self) -> str:
        """Return title, table and notes in HTML; the table scrolls horizontally if the page is narrow."""
        head = "".join(element("th", text(name), scope="col") for name in self.header)
        body = "".join(
            element(
                "tr",
                element("th", text(row[0]), scope="row")
                + "".join(element("td", text(cell)) for cell in row[1:]),
            )
            for row in self.rows
        )
        table = element("table", element("thead", element("tr", head)) + element("tbody", body))
        items = "".join(element("li", text(note)) for note in self.notes)
        notes = element("ul", items, _class="notes") if items else ""
        return (
            element("h3", text(self.title))
            + element("div", table, _class="wide", tabindex=0)
            + notes
        )


@dataclass(frozen=True)
class _Fitting:
    """A grid that chooses its form when it is printed, by the width of the terminal."""

    grid: Grid

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = len(self.grid.header)
        for lines, between in ((True, 3 * columns + 1), (False, columns - 1)):
            widths = self.grid._widths(options.max_width - between)
            if widths is not None:
                yield self.grid._table(widths, lines=lines)
                break
        else:
            yield from self.grid._list()
        yield from map(Text, self.grid.notes)


def _longest_word(cell: str) -> int:
    return max(map(cell_len, cell.split()), default=0)


def environment_grid(values: Mapping[str, Any]) -> Grid:
    """Return an environment, as stored in ``env.json`` of a run, as a table of names and values."""
    rows = []
    for key, value in values.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {version}" for name, version in value.items())
        elif isinstance(value, list):
            value = " ".join(map(str, value))
        rows.append((key.replace("_", " "), "none" if value is None else str(value)))
    return Grid("Environment", ("", "value"), rows)
