"""The difference between two arms of a table, each with a value for each seed or split."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastrot.evaluation.intervals import Estimate, mean_of
from fastrot.reproduce.execute import Workshop
from fastrot.reproduce.measured import Budget, Value, read_values, right_videos
from fastrot.reproduce.run_plan import Table, measurement_id
from fastrot.reproduce.statistics import Part, Spread, combined, pool

Spreads = Mapping[Budget, Spread]


@dataclass(frozen=True)
class Gain:
    """A difference in %.

    Attributes:
        estimate: The difference and its error.
        values: The difference of each pair of runs with the same seed and split; empty if not paired.
        compared: What the error is taken over.
    """

    estimate: Estimate
    values: tuple[float, ...] = ()
    compared: str = "independent"


def spreads_of(tables: Sequence[Table], workshop: Workshop) -> dict[Budget, Spread]:
    """Return the spread over seeds for each budget, pooled over the cells of fine-tunings with several seeds.

    Raises:
        FastrotError: A results file is damaged.
    """
    cells: dict[Budget, dict[frozenset[str], list[float]]] = {}
    for table in tables:
        for entry in table.entries:
            if len(entry.ours) < 2:
                continue
            values = read_values(entry.ours, workshop)
            budgets = {value.budget for value in values or ()}
            if values is None or len(budgets) > 1 or len({value.split for value in values}) > 1:
                continue
            (budget,) = budgets
            if budget is not None:
                same = frozenset(measurement_id(value.measurement) for value in values)
                cells.setdefault(budget, {})[same] = [value.number for value in values]
    pooled = {budget: pool(each.values()) for budget, each in cells.items()}
    return {budget: spread for budget, spread in pooled.items() if spread is not None}


def average(values: Sequence[Value], spreads: Spreads) -> Estimate:
    """Return the mean of an arm.

    The error of several values comes from their spread. That of a single run is the error over its test
    videos, and the spread over seeds of its budget if known, in quadrature.
    """
    if len(values) > 1:
        return mean_of([value.number for value in values])
    (value,) = values
    if value.error is None:
        return Estimate(value.number, None, 1)
    return combined(value.number, [value.error, *_spread(value, spreads, 1)], 1)


def spread_over_seeds(values: Sequence[Value], spreads: Spreads) -> Spread | None:
    """Return the spread that the error of a single run includes; None for several runs or if unknown."""
    budget = values[0].budget
    return None if len(values) > 1 or budget is None else spreads.get(budget)


def gain(
    ours: Sequence[Value], others: Sequence[Value], spreads: Spreads, workshop: Workshop
) -> Gain:
    """Return ``ours`` minus ``others``.

    Several runs are compared in pairs with the same seed and split. Otherwise both arms are compared in pairs
    of test videos, for which each arm's answers are averaged over its seeds, and the spread over seeds is
    added in quadrature. Without saved scores, the errors of both arms are independent.
    """
    mean = statistics.fmean(value.number for value in ours)
    mean -= statistics.fmean(value.number for value in others)
    count = min(len(ours), len(others))
    by_key = {(value.seed, value.split): value.number for value in others}
    keys = [(value.seed, value.split) for value in ours]
    paired = len(others) == len(ours) == len(by_key) and set(keys) == set(by_key)
    pairs = (
        [value.number - by_key[key] for value, key in zip(ours, keys, strict=True)]
        if paired
        else []
    )
    if len(pairs) > 1:
        return Gain(mean_of(pairs), tuple(pairs), "pairs of runs")
    over_videos = _over_videos(ours, others, workshop)
    if over_videos is not None:
        parts = [over_videos, *_spread_of_difference(ours, others, spreads)]
        return Gain(combined(mean, parts, count), tuple(pairs), "pairs of test videos")
    errors = [average(arm, spreads) for arm in (ours, others)]
    if any(each.error is None for each in errors):
        return Gain(Estimate(mean, None, count), tuple(pairs), "unknown")
    independent = [(each.error, each.freedom) for each in errors if each.error is not None]
    return Gain(combined(mean, independent, count), tuple(pairs))


def _over_videos(ours: Sequence[Value], others: Sequence[Value], workshop: Workshop) -> Part | None:
    """Return the error of the paired difference over the test videos; None if it is not known."""
    if len(ours) == len(others) == 1 and ours[0].measurement is others[0].measurement:
        return ours[0].paired
    mine, theirs = (_mean_by_video(arm, workshop) for arm in (ours, others))
    if mine is None or theirs is None or mine.keys() != theirs.keys():
        return None
    found = mean_of([100 * (mine[name] - theirs[name]) for name in mine])
    return None if found.error is None else (found.error, found.freedom)


def _mean_by_video(arm: Sequence[Value], workshop: Workshop) -> dict[str, float] | None:
    """Return how often each video's answer is right over the seeds of an arm (0..1)."""
    found = [right_videos(value, workshop) for value in arm]
    answers = [each for each in found if each is not None]
    if len(answers) < len(arm) or any(each.keys() != answers[0].keys() for each in answers):
        return None
    return {name: statistics.fmean(each[name] for each in answers) for name in answers[0]}


def _spread(value: Value, spreads: Spreads, count: int) -> list[Part]:
    if value.budget is None or value.budget not in spreads:
        return []
    return [spreads[value.budget].of_mean(count)]


def _spread_of_difference(
    ours: Sequence[Value], others: Sequence[Value], spreads: Spreads
) -> list[Part]:
    mine, theirs = ours[0], others[0]
    if mine.budget is not None and mine.budget == theirs.budget and mine.budget in spreads:
        return [spreads[mine.budget].of_difference(len(ours), len(others))]
    return [*_spread(mine, spreads, len(ours)), *_spread(theirs, spreads, len(others))]
