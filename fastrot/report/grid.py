"""A table of results, rendered for the terminal, in Markdown or in HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group
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

    def to_rich(self) -> Group:
        """Return the table and its notes for a terminal."""
        table = Table(title=Text(self.title))
        for at, name in enumerate(self.header):
            table.add_column(Text(name), justify="right" if at else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*map(Text, row))
        return Group(table, *map(Text, self.notes))

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
