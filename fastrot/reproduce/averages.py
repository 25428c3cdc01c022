"""Compute the numbers of a table from measurements: averages, differences and their errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastrot.evaluation.fusion import fuse
from fastrot.evaluation.scores import FILE as SCORES
from fastrot.reproduce.execute import Workshop
from fastrot.reproduce.run_plan import Entry, Fusion, Reading, Table
from fastrot.reproduce.statistics import Estimate, average, difference

NOT_RUN = "not run"


@dataclass(frozen=True)
class Cell:
    """One entry of a table with our numbers, in %.

    Attributes:
        entry: The entry of the table.
        ours: Our average, or None if it was not run.
        per_clip: Our average per clip, if both are measured.
        gain: Ours minus the number that it is compared with.
    """

    entry: Entry
    ours: Estimate | None
    per_clip: float | None
    gain: Estimate | None

    @property
    def difference(self) -> Estimate | None:
        """Ours minus the paper's; the error of the paper's number is unknown."""
        if self.ours is None or self.entry.paper is None:
            return None
        return Estimate(self.ours.mean - self.entry.paper, self.ours.error, self.ours.count)


@dataclass(frozen=True)
class _Value:
    percent: float
    clip: float | None
    videos: int


def fill_in(table: Table, workshop: Workshop) -> list[Cell]:
    """Return the table's entries with all numbers measured so far.

    Raises:
        FastrotError: A results file is damaged.
    """
    cells = []
    for entry in table.entries:
        values = _read_all(entry.ours, workshop)
        if values is None:
            cells.append(Cell(entry, None, None, None))
            continue
        percents = [value.percent for value in values]
        clips = [value.clip for value in values if value.clip is not None]
        ours = average(percents, values[0].videos)
        per_clip = sum(clips) / len(clips) if len(clips) == len(values) else None
        cells.append(Cell(entry, ours, per_clip, _gain(entry, ours, values, workshop)))
    return cells


def _gain(
    entry: Entry, ours: Estimate, values: Sequence[_Value], workshop: Workshop
) -> Estimate | None:
    if isinstance(entry.against, float):
        return Estimate(ours.mean - entry.against, ours.error, ours.count)
    others = _read_all(entry.against, workshop)
    if others is None:
        return None
    return difference(
        [value.percent for value in values],
        [value.percent for value in others],
        values[0].videos,
        others[0].videos,
    )


def _read_all(readings: Sequence[Reading], workshop: Workshop) -> list[_Value] | None:
    """Return the values of the readings, or None if there are none or one was not measured."""
    values = []
    for reading in readings:
        value = _read(reading, workshop)
        if value is None:
            return None
        values.append(value)
    return values or None


def _read(reading: Reading, workshop: Workshop) -> _Value | None:
    if isinstance(reading.source, Fusion):
        return _fused(reading.source, workshop)
    results = workshop.results(reading.source)
    if results is None:
        return None
    value = results[reading.key]
    percent = reading.scale * float(value if reading.at is None else value[reading.at])
    clip = 100 * float(results[reading.clip_key]) if reading.clip_key else None
    return _Value(percent, clip, int(results["protocol"]["videos"]))


def _fused(fusion: Fusion, workshop: Workshop) -> _Value | None:
    parts = (fusion.first, fusion.second)
    if any(workshop.results(part) is None for part in parts):
        return None
    first, second = (workshop.measurement_folder(part) / SCORES for part in parts)
    result, _ = fuse(first, second)
    return _Value(100 * result.video_top1, None, result.videos)


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
