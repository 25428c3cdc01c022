"""What a table needs: training runs, measurements of them, and the numbers that these make."""

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


class Videos(Protocol):
    """Tells which videos a run trains on or a measurement tests on, in plain values that can be compared."""

    def of_run(self, config: Config) -> Any:
        """Return what stands for the videos that a run trains on."""

    def of_split(self, store: str, split: str, data: DataConfig) -> Any:
        """Return what stands for the clips, as long as ``data`` says, of a store's split."""


class ByPath:
    """Takes stores of one path for the same: enough within a plan, and no store need be there."""

    def of_run(self, config: Config) -> Any:
        """Return the store's path; the split and the subset are in the config."""
        return config.data.store

    def of_split(self, store: str, split: str, data: DataConfig) -> Any:
        """Return the store's path and the split; how long clips are is in the run's config."""
        return [store, split]


BY_PATH = ByPath()


@dataclass(frozen=True, eq=False)
class TrainRun:
    """One training, from the first weights or from another run's network.

    Attributes:
        name: For people; two names of one recipe are one run.
        config: Without ``name``, ``out`` and ``init``, which are known when it runs.
        start: The network that it starts from; None draws new weights.
    """

    name: str
    config: Config
    start: "Snapshot | None" = None

    def recipe(self, videos: Videos) -> dict[str, Any]:
        """Return all that decides what is computed, as plain values."""
        values = to_mapping(self.config)
        flat = {
            f"{section}.{key}": value
            for section, part in values.items()
            if isinstance(part, dict)
            for key, value in part.items()
        }
        flat |= {key: value for key, value in values.items() if not isinstance(value, dict)}
        # Where the videos lie and how work is shared out changes nothing. That more checkpoints are kept
        # than usual does: later runs start from them.
        more = self.config.train.keep > TrainConfig().keep
        kept = {"train.checkpoint_every", "train.keep"} if more else set()
        recipe = {key: value for key, value in flat.items() if key not in FREE - kept | {"init"}}
        start = self.start.recipe(videos) if self.start else None
        return {**recipe, "videos": videos.of_run(self.config), "start": start}

    @property
    def level(self) -> int:
        """How many runs must be finished one after another before this one."""
        return 0 if self.start is None else self.start.run.level + 1


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A run's network at its end, or after ``step`` iterations."""

    run: TrainRun
    step: int | None = None

    def recipe(self, videos: Videos) -> dict[str, Any]:
        """Return what decides its weights."""
        return {**self.run.recipe(videos), "step": self.step}


@dataclass(frozen=True, eq=False)
class Measurement:
    """One evaluation of a network; ``clips`` a video, ``shots`` of ``train_split`` for a probe (0: all)."""

    kind: MeasureKind
    of: Snapshot
    store: str
    split: str
    clips: int
    train_split: str = ""
    shots: int = 0

    def recipe(self, videos: Videos) -> dict[str, Any]:
        """Return what decides its outcome."""
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
        """A name for people."""
        step = "" if self.of.step is None else f"-step-{self.of.step}"
        return f"{self.kind}-{Path(self.store).name}-{self.split}-{self.of.run.name}{step}"


@dataclass(frozen=True, eq=False)
class Fusion:
    """The geometric mean of two networks' scores."""

    first: Measurement
    second: Measurement


@dataclass(frozen=True, eq=False)
class Reading:
    """One number of a measurement: the value ``key``, or its element ``at``; 0..1 there, % in a table."""

    source: Measurement | Fusion
    key: str
    at: int | None = None
    clip_key: str | None = None

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What must be measured for it."""
        if isinstance(self.source, Fusion):
            return self.source.first, self.source.second
        return (self.source,)


@dataclass(frozen=True, eq=False)
class Entry:
    """One number of a table: the paper's, and what gives ours.

    Attributes:
        row: Its row's name.
        column: Its column's name, such as "UCF101".
        paper: The published number, None where there is none.
        ours: What is averaged; none of a row of other people's.
        against: What ours is compared with: readings, or a number such as chance.
        paper_gain: The difference that the paper prints for it.
        source: Where ``paper`` is from.
    """

    row: str
    column: str
    paper: float | None = None
    ours: tuple[Reading, ...] = ()
    against: tuple[Reading, ...] | float = ()
    paper_gain: float | None = None
    source: str = "the paper"


@dataclass(frozen=True, eq=False)
class Table:
    """A table of the paper, or one beyond it.

    ``against`` says what the differences in brackets are to; ``notes`` stand below it; ``impossible`` are
    rows that cannot run on this machine, with the reason.
    """

    key: str
    title: str
    entries: Sequence[Entry]
    against: str = ""
    notes: tuple[str, ...] = ()
    impossible: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """The columns' names, in the order in which the entries first name them."""
        return list(dict.fromkeys(entry.column for entry in self.entries))

    @property
    def measurements(self) -> Iterator[Measurement]:
        """All that its numbers are read from."""
        for entry in self.entries:
            compared = () if isinstance(entry.against, float) else entry.against
            for reading in (*entry.ours, *compared):
                yield from reading.measurements


@dataclass(frozen=True, eq=False)
class Gallery:
    """Pictures of two networks' first layer: kernels (figure 5), or attention maps of videos (figure 3).

    ``supervised`` is None where the user gave that network's file.
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
    """The runs and measurements of some tables and figures, each once, in an order in which they can run."""

    items: tuple[Item, ...]
    runs: tuple[TrainRun, ...]
    measurements: tuple[Measurement, ...]


def make_plan(items: Iterable[Item]) -> Plan:
    """Collect what the items need; equal recipes are one run, named by whoever came first."""
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
    ordered = sorted(runs.values(), key=lambda run: run.level)  # stable: tables keep their order
    return Plan(items, tuple(ordered), tuple(measurements.values()))


def run_id(run: TrainRun, videos: Videos = BY_PATH) -> str:
    """Return a hash of a run's recipe."""
    return digest_of(run.recipe(videos))


def measurement_id(measurement: Measurement, videos: Videos = BY_PATH) -> str:
    """Return a hash of a measurement's recipe."""
    return digest_of(measurement.recipe(videos))


def digest_of(values: Any) -> str:
    """Return a short hash of plain values; the order of keys does not count."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:HASH]


def deal(plan: Plan, costs: Mapping[str, float], parts: int) -> list[set[str]]:
    """Share the runs out over ``parts`` machines, by run_id: each to one, levels apart, the largest first.

    Runs of a level need nothing of each other, so the machines can work on a level at the same time.
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
