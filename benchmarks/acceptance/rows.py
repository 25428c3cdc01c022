"""The rows of an acceptance: a JSON object per line, written as soon as something is known."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.harness.measure import Result

ROWS = "rows.jsonl"

SPARE_S = 3.0
"""Seconds of a part's time that it does not plan with: those of its end."""


def add_row(path: Path, part: str, kind: str, name: str = "", **values: Any) -> None:
    """Append a row and sync it. A kill leaves it whole, or at most an incomplete line that readers skip."""
    row = {"part": part, "kind": kind, "name": name, **values}
    # The first line break ends a line that a kill left incomplete.
    line = f"\n{json.dumps(row)}\n".encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows in order, without incomplete lines; none if there is no file."""
    rows = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and {"part", "kind", "name"} <= row.keys():
            rows.append(row)
    return rows


@dataclass
class Turn:
    """A part that runs in this process: its rows, its time and its sizes.

    Attributes:
        path: The file of the rows.
        part: The name of the part.
        ends: When its process is stopped, in seconds of ``time.time``.
        quick: Whether to use the smallest sizes; the figures then mean nothing.
    """

    path: Path
    part: str
    ends: float
    quick: bool = False
    _written: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    @property
    def left_s(self) -> float:
        """The seconds left for measurements, at least 0."""
        return max(0.0, self.ends - SPARE_S - time.time())

    def add(self, kind: str, name: str, **values: Any) -> None:
        """Append a row if it differs from the last one of its kind and name, which it supersedes."""
        if self._written.get((kind, name)) != values:
            self._written[kind, name] = values
            add_row(self.path, self.part, kind, name, **values)

    def figures(self, name: str, **figures: float) -> None:
        """Append what a case gave in a single measurement; names of figures have their units."""
        spread = {
            figure: {"median": value, "q1": value, "q3": value, "values": [value]}
            for figure, value in figures.items()
        }
        self.add("case", name, **{**_NOTHING, "repeats": 1, "figures": spread})

    def note(self, name: str, text: str) -> None:
        """Append a sentence that a reader of the figures must know."""
        self.add("note", name, text=text)

    def keep(self, result: "Result") -> None:
        """Append what a benchmark has found since the last call."""
        for outcome in (*result.limits, *result.cases):
            values = asdict(outcome)
            self.add("case", values.pop("name"), **values)
        for goal in result.goals:
            values = asdict(goal)
            self.add("goal", values.pop("name"), **values, met=goal.met)
        for note in result.notes:
            self.note(note, note)


_NOTHING: Mapping[str, Any] = {
    "facts": {},
    "repeats": 0,
    "figures": {},
    "failed": None,
    "not_here": None,
    "not_reached": None,
}


def parts_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the last turn of each part: its status, cases, goals, notes and tests, by name.

    A turn without an end was stopped together with the program that started it.
    """
    parts: dict[str, dict[str, Any]] = {}
    for row in rows:
        values = {key: value for key, value in row.items() if key not in ("part", "kind", "name")}
        if row["kind"] == "began":
            # Taken out first, so that parts are in the order of their last turns.
            parts.pop(row["part"], None)
            parts[row["part"]] = {"status": "stopped", "error": "it has no end", **values}
        part = parts.setdefault(row["part"], {"status": "stopped", "error": "it has no beginning"})
        if row["kind"] == "ended":
            part.pop("error")
            part.update(values)
        elif row["kind"] != "began":
            part.setdefault(f"{row['kind']}s", {})[row["name"]] = values
    return parts
