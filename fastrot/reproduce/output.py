"""Output of a table (paper, ours, difference) to the terminal, Markdown, CSV and JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fastrot.evaluation.intervals import SMALL, Estimate
from fastrot.report.grid import Grid
from fastrot.reproduce.averages import NOT_RUN, Cell, remarks
from fastrot.reproduce.execute import FINISHED, Workshop
from fastrot.reproduce.remarks import untrained
from fastrot.reproduce.run_plan import Table, TrainRun, run_id
from fastrot.runs.training_accuracy import CONVERGED
from pipelines.files import write_csv, write_file

NOT_CONVERGED = "not converged"
LEGEND = (
    "In %, actions as top-1 per video. ±: half-width of the 95 % confidence interval. Over several seeds or "
    "splits it is Student's t times the standard error of their mean, and does not cover the choice of test "
    "videos. For a single run it covers the test videos (binomial, or clustered by video) and the spread "
    "over seeds where it is known, pooled over the cells with several seeds and the same budget. Single runs "
    "are compared in pairs of test videos. "
    f"{SMALL}: the interval of a difference contains 0. train: last training accuracy of fine-tuned "
    "networks (clips of the last tenth of the steps), after a slash that of the networks in comparison; "
    f"{NOT_CONVERGED}: that of at least one of these runs is below {CONVERGED:.0f}. Runs with frozen blocks, "
    "which limit it, are not marked."
)


@dataclass(frozen=True)
class Page:
    """A table with our numbers, ready for output in any format.

    Attributes:
        table: The table with the paper's numbers.
        cells: The table's entries with our numbers.
        about: How to interpret the numbers of the preset.
        protocols: How our numbers were measured.
        generated: Whether the videos are generated, so that nothing is compared with the paper.
    """

    table: Table
    cells: Sequence[Cell]
    about: str
    protocols: Sequence[str]
    generated: bool = False

    @property
    def title(self) -> str:
        """The table's title, which says if the videos are generated."""
        return titled(self.table.title, generated=self.generated)

    @cached_property
    def grid(self) -> Grid:
        """The table as text, with its own notes."""
        columns = self._columns()
        by_place = {(cell.entry.row, cell.entry.column): cell for cell in self.cells}
        names = dict.fromkeys(cell.entry.row for cell in self._shown)
        table = self.table
        where = "Gain" if self.generated else "In brackets"
        return Grid(
            self.title,
            ["", *(f"{column} {kind}".strip() for column, kind in columns)],
            [
                [
                    name,
                    *(self._text(by_place.get((name, column)), kind) for column, kind in columns),
                ]
                for name in names
            ],
            [
                *([f"{where}: difference from {table.against}."] if table.against else []),
                *self._notes,
                *(f"{row}: {NOT_RUN}, {why}." for row, why in table.impossible.items()),
                *untrained(self.cells),
                *([] if self.generated else _sources(self._shown)),
                *remarks(self.cells),
                *(f"Protocol: {each}." for each in self.protocols),
            ],
        )

    @property
    def full_grid(self) -> Grid:
        """The same, with the notes that all tables share."""
        return replace(self.grid, notes=[self.about, LEGEND, *self.grid.notes])

    @property
    def _shown(self) -> Sequence[Cell]:
        """The cells, without those of other methods if nothing is compared with the paper."""
        if not self.generated:
            return self.cells
        impossible = self.table.impossible
        return [cell for cell in self.cells if cell.entry.ours or cell.entry.row in impossible]

    @property
    def _notes(self) -> list[str]:
        """The table's notes, without those on the paper's numbers if nothing is compared with them."""
        return [*(() if self.generated else self.table.paper_notes), *self.table.notes]

    def _columns(self) -> list[tuple[str, str]]:
        """Return the columns that are not empty, as (column of the table, kind of number)."""
        shown = []
        for column in self.table.columns:
            mine = [cell for cell in self.cells if cell.entry.column == column]
            known = not self.generated and any(cell.entry.paper is not None for cell in mine)
            kinds = {
                "paper": known,
                "ours": True,
                "gain": self.generated and any(cell.gain is not None for cell in mine),
                "difference": known,
                "chance": any(cell.chance is not None for cell in mine),
                "per clip": any(cell.per_clip is not None for cell in mine),
                "train": any(cell.train is not None for cell in mine),
            }
            shown += [(column, kind) for kind, there in kinds.items() if there]
        return shown

    def _text(self, cell: Cell | None, kind: str) -> str:
        if cell is None:
            return ""
        texts = {
            "paper": _paper_text,
            "ours": self._ours_text,
            "gain": _gain_text,
            "difference": _difference_text,
            "chance": lambda cell: _rounded(cell.chance),
            "per clip": lambda cell: _rounded(cell.per_clip),
            "train": _train_text,
        }
        return texts[kind](cell)

    def _ours_text(self, cell: Cell) -> str:
        if cell.measured:
            return f"{cell.measured} of {len(cell.entry.ours)} runs"
        if cell.ours is None:
            return NOT_RUN if cell.entry.ours or cell.entry.row in self.table.impossible else ""
        text = cell.ours.text()
        if cell.gain is None or self.generated:
            return text
        return f"{text} ({_gain_text(cell)})"

    def write(self, folder: Path, workshop: Workshop) -> None:
        """Write KEY.md, KEY.csv and KEY.json; the JSON includes the config and environment of every run.

        Raises:
            FastrotError: A file cannot be written.
        """
        key, grid = self.table.key, self.grid
        entries = [plain_cell(cell, generated=self.generated) for cell in self._shown]
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
        names = [name for name in entries[0] if name != "runs"]
        rows = [[_in_csv(each[name]) for name in names] for each in entries]
        write_csv(folder / f"{key}.csv", names, rows)
        write_file(folder / f"{key}.json", json.dumps(values, indent=1) + "\n")


def published(value: float, sign: str = "") -> str:
    """Format a number as in the paper: with one decimal, or two if needed."""
    text = f"{value:{sign}.2f}"
    return text[:-1] if text.endswith("0") else text


def titled(title: str, *, generated: bool) -> str:
    """Return the title of a table or figure, which says if its videos are generated."""
    return f"{title} (generated videos)" if generated else title


def _paper_text(cell: Cell) -> str:
    entry = cell.entry
    if entry.paper is None:
        return ""
    gain = "" if entry.paper_gain is None else f" ({published(entry.paper_gain, '+')})"
    return f"{published(entry.paper)}{gain}"


def _gain_text(cell: Cell) -> str:
    return "" if cell.gain is None else cell.gain.text(sign="+", mark=True)


def _difference_text(cell: Cell) -> str:
    # The interval is the one in the column next to it, because the paper's is unknown.
    off = cell.difference
    return "" if off is None else f"{off.mean:+.1f}{SMALL if off.small else ''}"


def _train_text(cell: Cell) -> str:
    if cell.train is None:
        return ""
    text = _rounded(cell.train)
    text += "" if cell.train_against is None else f" / {_rounded(cell.train_against)}"
    return f"{text}, {NOT_CONVERGED}" if cell.converged is False else text


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


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


def plain_cell(cell: Cell, *, generated: bool) -> dict[str, Any]:
    """Return a cell's numbers for JSON, with the value of each run; infinite degrees of freedom are None."""
    entry, gain, off = cell.entry, cell.gain, cell.difference
    paper = {
        "paper": entry.paper,
        "paper_gain": entry.paper_gain,
        "difference": off and off.mean,
        "source": entry.source if entry.paper is not None else "",
    }
    return {
        "row": entry.row,
        "column": entry.column,
        **({} if generated else paper),
        **_plain_estimate("ours", cell.ours),
        "seeds": [value.seed for value in cell.values],
        "splits": [value.split for value in cell.values],
        "values": [value.number for value in cell.values],
        "interval_covers_seeds": cell.covers_seeds if cell.values else None,
        "pooled_deviation_over_seeds": cell.spread and cell.spread.deviation,
        "pooled_degrees_of_freedom": cell.spread and cell.spread.freedom,
        "ours_per_clip": cell.per_clip,
        "chance": cell.chance,
        **_plain_estimate("gain", gain),
        "gain_values": list(cell.gains.values) if cell.gains else [],
        "gain_error_over": cell.gains and cell.gains.compared,
        "gain_is_small": gain and gain.small,
        "train": cell.train,
        "train_values": [value.train for value in cell.values],
        "train_against": cell.train_against,
        "converged": cell.converged,
        "runs": [
            {"folder": name, "stage": stage, **settings.plain()}
            for name, (stage, settings) in cell.runs.items()
        ],
    }


def _plain_estimate(name: str, estimate: Estimate | None) -> dict[str, Any]:
    values = Estimate(0, None, 0).plain() if estimate is None else estimate.plain()
    plain = {f"{name}_{key}": value for key, value in values.items() if key != "mean"}
    return {name: estimate and estimate.mean, **plain}


def _in_csv(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _sources(cells: Sequence[Cell]) -> list[str]:
    """Return a line for each source other than the paper's table, with its rows."""
    rows: dict[str, list[str]] = {}
    for cell in cells:
        entry = cell.entry
        named = rows.setdefault(entry.source, [])
        if entry.source != "the paper" and entry.paper is not None and entry.row not in named:
            named.append(entry.row)
    return [f"From {source}: {'; '.join(names)}." for source, names in rows.items() if names]
