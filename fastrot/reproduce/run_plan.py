"""The parts of a table: training runs, measurements of them, and the resulting numbers."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from fastrot.config import Config, DataConfig, TrainConfig, to_mapping
from fastrot.training.resume import FREE

MeasureKind = Literal["rotation", "action", "probe", "retrieval"]
HASH = 12  # hexadecimal digits

ADDED: Mapping[str, Any] = {
    "data.scale": None,
    "data.aspect": None,
    "data.grey": 0.0,
    "data.gain": 1.0,
    "data.polarity": False,
    "rotation.speeds": [],
    "rotation.speed_weight": 1.0,
}
"""Keys that are younger than the first hashed runs, with the value that computes what those runs computed."""


class Videos(Protocol):
    """Identifies the videos of a run or a measurement by plain values that can be compared."""

    def of_run(self, config: Config) -> Any:
        """Return a value that identifies the videos that a run trains on."""

    def of_split(self, store: str, split: str, data: DataConfig) -> Any:
        """Return a value that identifies the clips of a split, with the clip length of ``data``."""


class ByPath:
    """Identifies stores by path: sufficient within a plan, and the stores need not exist."""

    def of_run(self, config: Config) -> Any:
        """Return the path of the store; the split and the subset are in the config."""
        return config.data.store

    def of_split(self, store: str, split: str, data: DataConfig) -> Any:
        """Return the path of the store and the split; the clip length is in the run's config."""
        return [store, split]


BY_PATH = ByPath()


@dataclass(frozen=True, eq=False)
class TrainRun:
    """One training run, from random weights or from another run's network.

    Attributes:
        name: A readable name; runs with the same recipe are one run, whatever their names.
        config: The config. ``name``, ``out`` and ``init`` are set when it runs.
        start: The network that it starts from; None initialises randomly.
    """

    name: str
    config: Config
    start: "Snapshot | None" = None

    def recipe(self, videos: Videos) -> dict[str, Any]:
        """Return everything that determines the result, as plain values."""
        values = to_mapping(self.config)
        flat = {
            f"{section}.{key}": value
            for section, part in values.items()
            if isinstance(part, dict)
            for key, value in part.items()
        }
        flat |= {key: value for key, value in values.items() if not isinstance(value, dict)}
        # The location of the videos and the distribution of the work do not affect the result. Keeping more
        # checkpoints than usual matters, because later runs start from them.
        more = self.config.train.keep > TrainConfig().keep
        kept = {"train.checkpoint_every", "train.keep"} if more else set()
        recipe = {
            key: value
            for key, value in flat.items()
            if key not in FREE - kept | {"init"} and not (key in ADDED and value == ADDED[key])
        }
        start = self.start.recipe(videos) if self.start else None
        return {**recipe, "videos": videos.of_run(self.config), "start": start}

    @property
    def length(self) -> str:
        """The length of the run in words, such as "1,800 steps" or "100 epochs"."""
        train = self.config.train
        if train.iterations is not None:
            return f"{train.iterations:,} steps"
        return f"{train.epochs:g} epochs"

    @property
    def level(self) -> int:
        """The number of runs that must finish one after another before this one."""
        return 0 if self.start is None else self.start.run.level + 1


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A run's network at its end, or after ``step`` iterations."""

    run: TrainRun
    step: int | None = None

    def recipe(self, videos: Videos) -> dict[str, Any]:
        """Return everything that determines the weights."""
        return {**self.run.recipe(videos), "step": self.step}


@dataclass(frozen=True, eq=False)
class Measurement:
    """One evaluation of a network.

    Attributes:
        kind: The kind of evaluation.
        of: The network.
        store: Path of the store.
        split: The test split.
        clips: Clips per video.
        train_split: The training split of a probe or retrieval.
        shots: Training videos per class of a probe; 0 is all.
    """

    kind: MeasureKind
    of: Snapshot
    store: str
    split: str
    clips: int
    train_split: str = ""
    shots: int = 0

    def recipe(self, videos: Videos) -> dict[str, Any]:
        """Return everything that determines the result."""
        data = self.of.run.config.data
        train = videos.of_split(self.store, self.train_split, data) if self.train_split else None
        return {
            "kind": self.kind,
            "of": self.of.recipe(videos),
            "test": videos.of_split(self.store, self.split, data),
            "train": train,
            "clips": self.clips,
            "shots": self.shots,
        }

    @property
    def name(self) -> str:
        """A readable name."""
        step = "" if self.of.step is None else f"-step-{self.of.step}"
        return f"{self.kind}-{Path(self.store).name}-{self.split}-{self.of.run.name}{step}"


@dataclass(frozen=True, eq=False)
class Fusion:
    """The geometric mean of two networks' scores."""

    first: Measurement
    second: Measurement


@dataclass(frozen=True, eq=False)
class Difference:
    """The number of one measurement minus that of another."""

    first: Measurement
    second: Measurement


@dataclass(frozen=True, eq=False)
class Reading:
    """One number of a measurement: the value ``key``, or its element ``at``.

    Attributes:
        source: The measurement, or a fusion or difference of two.
        key: The key in its results.
        at: The element of a list.
        clip_key: The key of the same number per clip.
        error_key: The key of its standard error; None is ``key`` with "_standard_error", if there is one.
        scale: What the number and its error are multiplied by; 100 makes a share (0..1) a percentage.
    """

    source: Measurement | Fusion | Difference
    key: str
    at: int | None = None
    clip_key: str | None = None
    error_key: str | None = None
    scale: float = 100.0

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """The measurements that it needs."""
        if isinstance(self.source, Measurement):
            return (self.source,)
        return self.source.first, self.source.second


@dataclass(frozen=True, eq=False)
class Entry:
    """One number of a table: the paper's number, and the readings of ours.

    Attributes:
        row: Name of the row.
        column: Name of the column, such as "UCF101".
        paper: The published number, or None if there is none.
        ours: The readings that are averaged; empty for other methods.
        against: What ours is compared with: readings, or a number such as chance.
        paper_gain: The difference as printed in the paper.
        source: The source of ``paper``.
        chance: The number of random answers, in the unit of the entry; None if it is not defined.
        lower: Whether a smaller number is better, as for an error.
    """

    row: str
    column: str
    paper: float | None = None
    ours: tuple[Reading, ...] = ()
    against: tuple[Reading, ...] | float = ()
    paper_gain: float | None = None
    source: str = "the paper"
    chance: float | None = None
    lower: bool = False


@dataclass(frozen=True, eq=False)
class Table:
    """A table of the paper, or an additional one.

    Attributes:
        key: Name of the table on the command line and of its files.
        title: The title.
        entries: The numbers.
        against: What the differences in brackets compare with.
        notes: Notes below the table.
        paper_notes: More notes, on the paper's numbers; left out where nothing is compared with them.
        impossible: Rows that cannot run on this machine, with the reason.
    """

    key: str
    title: str
    entries: Sequence[Entry]
    against: str = ""
    notes: tuple[str, ...] = ()
    paper_notes: tuple[str, ...] = ()
    impossible: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in the order of their first entry."""
        return list(dict.fromkeys(entry.column for entry in self.entries))

    @property
    def measurements(self) -> Iterator[Measurement]:
        """All measurements that its numbers are read from."""
        for entry in self.entries:
            compared = () if isinstance(entry.against, float) else entry.against
            for reading in (*entry.ours, *compared):
                yield from reading.measurements


@dataclass(frozen=True, eq=False)
class Gallery:
    """Pictures of the first layer of two networks and an untrained one: kernels, or attention maps.

    ``supervised`` is None if the user gave the file of that network.
    """

    key: str
    title: str
    ours: Snapshot
    supervised: Snapshot | None
    store: str = ""
    split: str = ""
    notes: tuple[str, ...] = ()


Item = Table | Gallery


@dataclass(frozen=True)
class Plan:
    """The runs and measurements of some tables and figures, each once, in an executable order."""

    items: tuple[Item, ...]
    runs: tuple[TrainRun, ...]
    measurements: tuple[Measurement, ...]


def make_plan(items: Iterable[Item]) -> Plan:
    """Collect the runs and measurements of the items; equal recipes are one run, with the first name."""
    items = tuple(items)
    runs: dict[str, TrainRun] = {}
    measurements: dict[str, Measurement] = {}

    def need(snapshot: Snapshot) -> None:
        if snapshot.run.start is not None:
            need(snapshot.run.start)
        runs.setdefault(run_id(snapshot.run), snapshot.run)

    for item in items:
        if isinstance(item, Gallery):
            need(item.ours)
            if item.supervised is not None:
                need(item.supervised)
            continue
        for measurement in item.measurements:
            need(measurement.of)
            measurements.setdefault(measurement_id(measurement), measurement)
    ordered = sorted(
        runs.values(), key=lambda run: run.level
    )  # a stable sort keeps the order of the tables
    return Plan(items, tuple(ordered), tuple(measurements.values()))


def run_id(run: TrainRun, videos: Videos = BY_PATH) -> str:
    """Return a hash of a run's recipe."""
    return digest_of(run.recipe(videos))


def measurement_id(measurement: Measurement, videos: Videos = BY_PATH) -> str:
    """Return a hash of a measurement's recipe."""
    return digest_of(measurement.recipe(videos))


def digest_of(values: Any) -> str:
    """Return a short hash of plain values; the order of keys does not matter."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:HASH]


def deal(plan: Plan, costs: Mapping[str, float], parts: int) -> list[set[str]]:
    """Divide the runs among ``parts`` machines, by ``run_id``: level by level, the largest run first.

    Runs of one level do not depend on each other, so the machines can execute a level in parallel.
    """
    shares: list[set[str]] = [set() for _ in range(parts)]
    for level in sorted({run.level for run in plan.runs}):
        loads = [0.0] * parts
        mine = [run for run in plan.runs if run.level == level]
        for run in sorted(mine, key=lambda run: (-costs[run_id(run)], run_id(run))):
            least = loads.index(min(loads))
            loads[least] += costs[run_id(run)]
            shares[least].add(run_id(run))
    return shares
