"""The dry run: what a plan would do, in what order, and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastrot.report.grid import Grid
from fastrot.reproduce.cost import OVERHEAD_S, Rate, measure_flop, train_flop
from fastrot.reproduce.execute import Workshop
from fastrot.reproduce.output import published
from fastrot.reproduce.run_plan import Item, Plan, Table, make_plan, measurement_id, run_id
from fastrot.reproduce.settings import Setting

NO_RATE = (
    "no GPU rate measured: give --rate, TFLOP/s of training or the JSON of `fastrot bench train`"
)


@dataclass(frozen=True)
class Costs:
    """Operations of each run and measurement of a plan by its id; None where they cannot be counted."""

    runs: Mapping[str, float | None]
    measurements: Mapping[str, float | None]

    @property
    def total(self) -> float:
        """All that can be counted."""
        return sum(flop or 0 for flop in self._all)

    @property
    def complete(self) -> bool:
        """Whether everything can be counted."""
        return None not in self._all

    @property
    def _all(self) -> list[float | None]:
        return [*self.runs.values(), *self.measurements.values()]

    def weights(self) -> dict[str, float]:
        """Return the runs' costs for dealing them out, 1 where unknown."""
        return {key: 1.0 if flop is None else flop for key, flop in self.runs.items()}


def count(plan: Plan, setting: Setting) -> Costs:
    """Count a plan's operations."""
    runs = {}
    for run in plan.runs:
        data = run.config.data
        videos = data.videos or setting.videos(data.store, data.split, data.shots)
        runs[run_id(run)] = train_flop(run, videos)
    measurements = {}
    for each in plan.measurements:
        videos = setting.videos(each.store, each.split)
        if each.train_split and videos is not None:
            fitted = setting.videos(each.store, each.train_split, each.shots)
            videos = None if fitted is None else videos + fitted
        measurements[measurement_id(each)] = measure_flop(each, videos)
    return Costs(runs, measurements)


def hours(costs: Costs, rate: Rate, *, overhead: bool) -> float:
    """Return the hours of a plan; ``overhead`` adds what starting costs where runs are short."""
    starts = len(costs.runs) + len(costs.measurements)
    return rate.hours(costs.total) + (starts * OVERHEAD_S / 3600 if overhead else 0)


def overview(plan: Plan, setting: Setting, rate: Rate | None, workshop: Workshop) -> Grid:
    """Return the runs as a table: name, steps, batch, operations, hours and whether they are finished."""
    costs = count(plan, setting)
    rows = []
    for run in plan.runs:
        flop = costs.runs[run_id(run)]
        length = run.config.train
        start = "scratch" if run.start is None else run.start.run.name
        if run.start is not None and run.start.step is not None:
            start += f", step {run.start.step}"
        rows.append(
            [
                run.name,
                start,
                f"{length.iterations:,}" if length.iterations else f"{length.epochs:g} epochs",
                "?" if flop is None else amount(flop),
                "?" if flop is None or rate is None else duration(rate.hours(flop)),
                "finished" if workshop.finished_folder(run) else "to do",
            ]
        )
    return Grid(
        f"{len(plan.runs)} training runs, {len(plan.measurements)} measurements",
        ["run", "starts from", "steps or epochs", "computing", "time", "state"],
        rows,
    )


def amount(flop: float) -> str:
    """Return operations with a unit."""
    return f"{flop / 1e15:,.0f} PFLOP" if flop >= 1e15 else f"{flop / 1e12:.2g} TFLOP"


def duration(hours: float) -> str:
    """Return hours, or minutes of less than one."""
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"


def item_lines(items: tuple[Item, ...], setting: Setting, rate: Rate | None) -> list[str]:
    """Return a line on what each table costs by itself, what it shares with others included."""
    lines = []
    for item in items:
        plan = make_plan([item])
        costs = count(plan, setting)
        line = f"{item.key}: {len(plan.runs)} runs, {len(plan.measurements)} measurements"
        if rate is not None:
            time = hours(costs, rate, overhead=setting.preset.name == "demo")
            line += f", about {duration(time)}" + ("" if costs.complete else " and more")
        lines.append(line)
    return lines


def rows_of(items: tuple[Item, ...]) -> list[str]:
    """Return every row of every table as "title: row: column, the paper's number"."""
    lines = []
    for item in items:
        lines.append(item.title)
        if isinstance(item, Table):
            lines += [f"  {row}: {', '.join(found)}" for row, found in _by_row(item).items()]
    return lines


def _by_row(table: Table) -> dict[str, list[str]]:
    rows: dict[str, list[str]] = {}
    for entry in table.entries:
        paper = "" if entry.paper is None else f" {published(entry.paper)}"
        count = len(entry.ours)
        several = f" ({count} runs averaged)" if count > 1 else ""
        rows.setdefault(entry.row, []).append(f"{entry.column}{paper}{several}")
    return rows
