"""The dry run: the runs of a plan, their order and their cost."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastrot.report.grid import Grid
from fastrot.reproduce.cost import OVERHEAD_S, Rate, measure_flop, train_flop
from fastrot.reproduce.execute import Workshop
from fastrot.reproduce.output import published, titled
from fastrot.reproduce.run_plan import Item, Plan, Table, make_plan, measurement_id, run_id
from fastrot.reproduce.settings import Setting

NO_RATE = "the speed of the GPU is unknown: give --rate in TFLOP/s, or the JSON file of `fastrot bench train`"


@dataclass(frozen=True)
class Costs:
    """Operations of each run and measurement of a plan, by id; None if they cannot be counted."""

    runs: Mapping[str, float | None]
    measurements: Mapping[str, float | None]

    @property
    def total(self) -> float:
        """The sum of all operations that can be counted."""
        return sum(flop or 0 for flop in self._all)

    @property
    def complete(self) -> bool:
        """Whether all operations can be counted."""
        return None not in self._all

    @property
    def _all(self) -> list[float | None]:
        return [*self.runs.values(), *self.measurements.values()]

    def weights(self) -> dict[str, float]:
        """Return the costs of the runs for ``deal``; an unknown cost is 1."""
        return {key: 1.0 if flop is None else flop for key, flop in self.runs.items()}


def count(plan: Plan, setting: Setting) -> Costs:
    """Count the operations of a plan."""
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
    """Return the hours of a plan; ``overhead`` adds the start-up time, which matters for short runs."""
    starts = len(costs.runs) + len(costs.measurements)
    return rate.hours(costs.total) + (starts * OVERHEAD_S / rate.jobs / 3600 if overhead else 0)


def overview(plan: Plan, setting: Setting, rate: Rate | None, workshop: Workshop) -> Grid:
    """Return a table of the runs: name, start, length, operations, time, and whether each is finished."""
    costs = count(plan, setting)
    rows = []
    for run in plan.runs:
        flop = costs.runs[run_id(run)]
        start = "scratch" if run.start is None else run.start.run.name
        if run.start is not None and run.start.step is not None:
            start += f", step {run.start.step}"
        rows.append(
            [
                run.name,
                start,
                run.length,
                "?" if flop is None else amount(flop),
                "?" if flop is None or rate is None else duration(rate.hours(flop)),
                "finished" if workshop.finished_folder(run) else "to do",
            ]
        )
    return Grid(
        f"{_number(len(plan.runs), 'training run')}, {_number(len(plan.measurements), 'measurement')}",
        ["run", "starts from", "length", "compute", "time", "state"],
        rows,
    )


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def amount(flop: float) -> str:
    """Format a number of operations with its unit."""
    if flop >= 1e15:
        return f"{flop / 1e15:,.0f} PFLOP"
    return f"{flop / 1e12:.0f} TFLOP" if flop >= 1e14 else f"{flop / 1e12:.2g} TFLOP"


def duration(hours: float) -> str:
    """Format a duration in hours, or in minutes if it is less than one hour."""
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"


def item_lines(items: tuple[Item, ...], setting: Setting, rate: Rate | None) -> list[str]:
    """Return a line with the cost of each table on its own, including runs shared with other tables."""
    lines = []
    for item in items:
        plan = make_plan([item])
        costs = count(plan, setting)
        runs, measurements = len(plan.runs), len(plan.measurements)
        line = f"{item.key}: {_number(runs, 'run')}, {_number(measurements, 'measurement')}"
        if rate is not None:
            time = hours(costs, rate, overhead=setting.preset.name == "demo")
            line += f", about {duration(time)}" + ("" if costs.complete else " or more")
        lines.append(line)
    return lines


def rows_of(items: tuple[Item, ...], *, generated: bool) -> list[str]:
    """Return the title of each item and, below it, the rows of a table.

    Args:
        items: Tables and galleries.
        generated: Whether the videos are generated. If not, the rows have the paper's numbers, and other
            methods' rows are listed too.
    """
    lines = []
    for item in items:
        lines.append(titled(item.title, generated=generated))
        if isinstance(item, Table):
            rows = _by_row(item, generated=generated)
            lines += [f"  {row}: {', '.join(found)}" for row, found in rows.items()]
    return lines


def _by_row(table: Table, *, generated: bool) -> dict[str, list[str]]:
    rows: dict[str, list[str]] = {}
    for entry in table.entries:
        if generated and not entry.ours:
            continue
        paper = "" if generated or entry.paper is None else f" {published(entry.paper)}"
        count = len(entry.ours)
        several = f" ({count} runs averaged)" if count > 1 else ""
        rows.setdefault(entry.row, []).append(f"{entry.column}{paper}{several}")
    return rows
