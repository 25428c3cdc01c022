"""Compute the numbers of a table from measurements: averages, differences and their errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fastrot.evaluation.intervals import Estimate
from fastrot.reproduce.execute import Workshop
from fastrot.reproduce.gains import Gain, Spreads, average, gain, spread_over_seeds
from fastrot.reproduce.measured import Value, read_values, runs_of
from fastrot.reproduce.run_facts import Settings, settings_of
from fastrot.reproduce.run_plan import Entry, Table
from fastrot.reproduce.statistics import Spread

NOT_RUN = "not run"
NO_SPREADS: Spreads = MappingProxyType({})


@dataclass(frozen=True)
class Cell:
    """One entry of a table with our numbers, in % unless its readings have another scale.

    Attributes:
        entry: The entry of the table.
        ours: Our average, or None if it was not run.
        per_clip: Our average per clip, if both are measured.
        gain: Ours minus the number that it is compared with.
        values: The values that are averaged.
        gains: How the gain was computed, with the difference of each pair.
        spread: The pooled spread over seeds that the interval of a single run includes, or None.
        chance: The chance level in %, or None if unknown.
        train: Last training accuracy in %, averaged over the runs; None unless networks are fine-tuned.
        train_against: The same of the networks that ours are compared with.
        converged: Whether all runs, ours and those in comparison, were trained to the end; None if unknown.
        runs: The stage and the settings of each run by the name of its folder, with the runs that it starts
            from and those that it is compared with.
        compared: The names of those that are part of the comparison only.
        measured: How many of the values were measured, if not all were.
    """

    entry: Entry
    ours: Estimate | None
    per_clip: float | None
    gain: Estimate | None
    values: Sequence[Value] = ()
    gains: Gain | None = None
    spread: Spread | None = None
    chance: float | None = None
    train: float | None = None
    train_against: float | None = None
    converged: bool | None = None
    runs: Mapping[str, tuple[str, Settings]] = field(default_factory=dict)
    compared: frozenset[str] = frozenset()
    measured: int = 0

    @property
    def difference(self) -> Estimate | None:
        """Ours minus the paper's; the error of the paper's number is unknown."""
        if self.ours is None or self.entry.paper is None:
            return None
        ours = self.ours
        return Estimate(ours.mean - self.entry.paper, ours.error, ours.count, ours.freedom)

    @property
    def covers_seeds(self) -> bool:
        """Whether the interval of ours covers the choice of the seed."""
        return len({value.seed for value in self.values}) > 1 or self.spread is not None


def fill_in(table: Table, workshop: Workshop, spreads: Spreads = NO_SPREADS) -> list[Cell]:
    """Return the table's entries with all numbers measured so far.

    Args:
        table: The table.
        workshop: The folder of its measurements.
        spreads: The spread over seeds of each budget of fine-tuning, for single runs.

    Raises:
        FastrotError: A results file is damaged.
    """
    return [_cell(entry, workshop, spreads) for entry in table.entries]


def _cell(entry: Entry, workshop: Workshop, spreads: Spreads) -> Cell:
    values = read_values(entry.ours, workshop)
    if values is None:
        measured = sum(read_values([each], workshop) is not None for each in entry.ours)
        return Cell(entry, None, None, None, chance=entry.chance, measured=measured)
    ours = average(values, spreads)
    clips = [value.clip for value in values if value.clip is not None]
    others, gains = None, None
    if isinstance(entry.against, float):
        off = Estimate(ours.mean - entry.against, ours.error, ours.count, ours.freedom)
        each = tuple(value.number - entry.against for value in values)
        gains = Gain(off, each, "a constant")
    else:
        others = read_values(entry.against, workshop)
        if others is not None:
            gains = gain(values, others, spreads, workshop)
    mine, theirs = _runs(values, workshop), _runs(others or (), workshop)
    return Cell(
        entry,
        ours,
        sum(clips) / len(clips) if len(clips) == len(values) else None,
        None if gains is None else gains.estimate,
        values,
        gains,
        spread_over_seeds(values, spreads),
        values[0].chance if entry.chance is None else entry.chance,
        _train(values),
        _train(others or ()),
        _converged([*values, *(others or ())]),
        {**mine, **theirs},
        frozenset(theirs) - frozenset(mine),
    )


def _train(values: Sequence[Value]) -> float | None:
    known = [value.train for value in values if value.train is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _converged(values: Sequence[Value]) -> bool | None:
    """Return whether all runs are converged: one that is not is enough to distort a mean and its gain."""
    found = [value.converged for value in values]
    if False in found:
        return False
    return None if None in found else True


def _runs(values: Sequence[Value], workshop: Workshop) -> dict[str, tuple[str, Settings]]:
    found = {}
    for stage, run in runs_of(values):
        folder = workshop.finished_folder(run)
        if folder is not None and folder.name not in found:
            found[folder.name] = (stage, settings_of(folder))
    return found


def remarks(cells: Sequence[Cell]) -> list[str]:
    """Return what the intervals of a table do not cover, and settings in which its runs differ."""
    return [
        *_spreads(cells),
        *_unknown_spread(cells),
        *_alike(cells),
        *_overlapping_splits(cells),
        *_mixed_settings(cells),
    ]


def _spreads(cells: Sequence[Cell]) -> list[str]:
    found = dict.fromkeys(cell.spread for cell in cells if cell.spread is not None)
    return [
        f"Intervals of single runs include a standard deviation over seeds of {spread.deviation:.1f} points "
        f"({spread.freedom} degrees of freedom)."
        for spread in found
    ]


def _unknown_spread(cells: Sequence[Cell]) -> list[str]:
    measured = [cell for cell in cells if cell.ours is not None and cell.ours.error is not None]
    unknown = [cell for cell in measured if len(cell.values) == 1 and cell.spread is None]
    if not unknown:
        return []
    line = "spread over seeds unknown: the interval covers the test videos only."
    if len(unknown) == len(measured):
        return [line.capitalize()]
    places = dict.fromkeys(f"{cell.entry.row} ({cell.entry.column})" for cell in unknown)
    return [f"{'; '.join(places)}: {line}"]


def _alike(cells: Sequence[Cell]) -> list[str]:
    shown = [each for cell in cells for each in (cell.ours, cell.gain) if each is not None]
    if not any(each.error == 0 for each in shown):
        return []
    return ["± 0.0: all averaged values are equal; the true uncertainty is not zero."]


def _overlapping_splits(cells: Sequence[Cell]) -> list[str]:
    over_splits = [cell for cell in cells if len({value.split for value in cell.values}) > 1]
    if not over_splits:
        return []
    line = (
        "Intervals of means over splits treat the splits as independent, although their training and test "
        "videos overlap"
    )
    if not all(cell.covers_seeds for cell in over_splits):
        line += " and their runs have the same seed"
    return [f"{line}: they may be too narrow."]


def _mixed_settings(cells: Sequence[Cell]) -> list[str]:
    """Return a line for each setting in which runs of the same stage differ, with the rows."""
    rows: dict[tuple[str, str], dict[Any, dict[str, None]]] = {}
    # The run of a baseline is named by its own row, if it has one, and not by those compared with it.
    owned = {name for cell in cells for name in cell.runs if name not in cell.compared}
    for cell in cells:
        for name, (stage, settings) in cell.runs.items():
            row = cell.entry.row
            if name in cell.compared:
                if name in owned:
                    continue
                row = f"the comparison of {row}"
            for key, value in settings.plain().items():
                found = rows.setdefault((stage, key), {})
                found.setdefault(value, {})[row] = None
    return [
        f"Runs of {stage} differ in {key}: "
        + "; ".join(f"{value} in {', '.join(names)}" for value, names in found.items())
        + "."
        for (stage, key), found in rows.items()
        if len(found) > 1
    ]


def protocols(table: Table, workshop: Workshop) -> list[str]:
    """Return the protocols of the table's numbers: each kind of clip once, with videos and weights."""
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for measurement in table.measurements:
        results = workshop.results(measurement)
        if results is None:
            continue
        of = results["protocol"]
        store = str(of["store"]).rstrip("/").rpartition("/")[2]
        videos, weights = found.setdefault(_clips(measurement.kind, of), ({}, {}))
        videos[f"{store} {of['split']} ({of['videos']} videos)"] = None
        weights[of["weights"]] = None
    return [
        f"{how}: {', '.join(videos)}; {', '.join(weights)}"
        for how, (videos, weights) in found.items()
    ]


def _clips(kind: str, of: dict[str, Any]) -> str:
    clips = "clip" if of["clips_per_video"] == 1 else "clips"
    return (
        f"{kind}, {of['clips_per_video']} centre {clips} per video of {of['frames']} "
        f"{of['modality'].upper()} frames at stride {of['stride']}, crop {of['crop']} of {of['size']}"
    )
