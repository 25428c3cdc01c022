"""Output of a table (paper, ours, difference) to the terminal, Markdown, CSV and JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fastrot.report.grid import Grid
from fastrot.reproduce.averages import NOT_RUN, Cell
from fastrot.reproduce.execute import FINISHED, Workshop
from fastrot.reproduce.run_plan import Table, TrainRun, run_id
from fastrot.reproduce.statistics import Estimate
from pipelines.files import write_csv, write_file

SMALL = "~"
LEGEND = (
    "All numbers in %, actions as top-1 per video, ± standard error: over seeds or splits if there are "
    f"several, otherwise binomial over the test videos. {SMALL}: a difference smaller than twice its "
    "standard error."
)


@dataclass(frozen=True)
class Page:
    """A table with our numbers, ready for output in any format.

    Attributes:
        table: The table with the paper's numbers.
        cells: The table's entries with our numbers.
        about: How to interpret the numbers of the preset.
        protocols: How our numbers were measured.
    """

    table: Table
    cells: Sequence[Cell]
    about: str
    protocols: Sequence[str]

    @cached_property
    def grid(self) -> Grid:
        """The table as text, with its own notes."""
        columns = self._columns()
        by_place = {(cell.entry.row, cell.entry.column): cell for cell in self.cells}
        names = dict.fromkeys(cell.entry.row for cell in self.cells)
        table = self.table
        return Grid(
            table.title,
            ["", *(f"{column} {kind}".strip() for column, kind in columns)],
            [
                [
                    name,
                    *(self._text(by_place.get((name, column)), kind) for column, kind in columns),
                ]
                for name in names
            ],
            [
                *([f"In brackets: difference from {table.against}."] if table.against else []),
                *table.notes,
                *_sources(self.cells),
                *(f"Protocol: {each}." for each in self.protocols),
            ],
        )

    @property
    def full_grid(self) -> Grid:
        """The same, with the notes that all tables share."""
        return replace(self.grid, notes=[self.about, LEGEND, *self.grid.notes])

    def _columns(self) -> list[tuple[str, str]]:
        """Return the columns that are not empty, as (column of the table, kind of number)."""
        shown = []
        for column in self.table.columns:
            mine = [cell for cell in self.cells if cell.entry.column == column]
            known = any(cell.entry.paper is not None for cell in mine)
            per_clip = any(cell.per_clip is not None for cell in mine)
            kinds = {"paper": known, "ours": True, "difference": known, "per clip": per_clip}
            shown += [(column, kind) for kind, there in kinds.items() if there]
        return shown

    def _text(self, cell: Cell | None, kind: str) -> str:
        if cell is None:
            return ""
        entry = cell.entry
        if kind == "paper":
            if entry.paper is None:
                return ""
            gain = "" if entry.paper_gain is None else f" ({published(entry.paper_gain, '+')})"
            return f"{published(entry.paper)}{gain}"
        if kind == "ours":
            if cell.ours is None:
                return NOT_RUN if entry.ours else ""
            gain = "" if cell.gain is None else f" ({with_error(cell.gain, sign='+')})"
            return f"{with_error(cell.ours, mark=False)}{gain}"
        if kind == "difference":
            # The error is the one in the column next to it, because the paper's is unknown.
            off = cell.difference
            return "" if off is None else f"{off.mean:+.1f}{SMALL if off.small else ''}"
        return "" if cell.per_clip is None else f"{cell.per_clip:.1f}"

    def write(self, folder: Path, workshop: Workshop) -> None:
        """Write KEY.md, KEY.csv and KEY.json; the JSON includes the config and environment of every run.

        Raises:
            FastrotError: A file cannot be written.
        """
        key, grid = self.table.key, self.grid
        entries = [_plain_cell(cell) for cell in self.cells]
        values = {
            "key": key,
            "title": grid.title,
            "header": grid.header,
            "rows": grid.rows,
            "about": self.about,
            "legend": LEGEND,
            "notes": grid.notes,
            "entries": entries,
            "runs": describe_runs(self.table, workshop),
        }
        write_file(folder / f"{key}.md", self.full_grid.to_markdown("##"))
        write_csv(
            folder / f"{key}.csv", list(entries[0]), [list(each.values()) for each in entries]
        )
        write_file(folder / f"{key}.json", json.dumps(values, indent=1) + "\n")


def published(value: float, sign: str = "") -> str:
    """Format a number as in the paper: with one decimal, or two if needed."""
    text = f"{value:{sign}.2f}"
    return text[:-1] if text.endswith("0") else text


def with_error(estimate: Estimate, *, sign: str = "", mark: bool = True) -> str:
    """Format as "mean ± standard error" with one decimal; ``mark`` marks a small difference."""
    text = f"{estimate.mean:{sign}.1f}"
    if estimate.error is not None:
        text += f" ± {estimate.error:.1f}"
    return f"{text}{SMALL}" if mark and estimate.small else text


def describe_runs(table: Table, workshop: Workshop) -> list[dict[str, Any]]:
    """Return the folder name, config and environment of each finished training run of a table."""
    runs: dict[str, TrainRun] = {}
    for measurement in table.measurements:
        snapshot: Any = measurement.of
        while snapshot is not None:
            runs.setdefault(run_id(snapshot.run), snapshot.run)
            snapshot = snapshot.run.start
    described = []
    for run in sorted(runs.values(), key=lambda run: run.level):
        folder = workshop.finished_folder(run)
        if folder is not None:
            values = json.loads((folder / FINISHED).read_text())
            environment = json.loads((folder / "env.json").read_text())
            described.append({"folder": folder.name, **values, "environment": environment})
    return described


def _plain_cell(cell: Cell) -> dict[str, Any]:
    entry, ours, gain, off = cell.entry, cell.ours, cell.gain, cell.difference
    return {
        "row": entry.row,
        "column": entry.column,
        "paper": entry.paper,
        "ours": ours and ours.mean,
        "ours_standard_error": ours and ours.error,
        "values": ours and ours.count,
        "difference": off and off.mean,
        "ours_per_clip": cell.per_clip,
        "paper_gain": entry.paper_gain,
        "gain": gain and gain.mean,
        "gain_standard_error": gain and gain.error,
        "gain_is_small": gain and gain.small,
        "source": entry.source if entry.paper is not None else "",
    }


def _sources(cells: Sequence[Cell]) -> list[str]:
    """Return a line for each source other than the paper's table, with its rows."""
    rows: dict[str, list[str]] = {}
    for cell in cells:
        entry = cell.entry
        named = rows.setdefault(entry.source, [])
        if entry.source != "the paper" and entry.paper is not None and entry.row not in named:
            named.append(entry.row)
    return [f"From {source}: {'; '.join(names)}." for source, names in rows.items() if names]
