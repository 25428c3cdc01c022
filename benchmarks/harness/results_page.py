"""Tables and a chart from the JSON of a run. Run: fastrot bench report RESULTS.json --out DIR."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.chart import draw
from fastrot.report.grid import Grid, environment_grid
from fastrot.runs.plots import NO_MATPLOTLIB, has_matplotlib
from fastrot.terminal.console import say
from pipelines.errors import FastrotError
from pipelines.files import write_file


def tables(result: Mapping[str, Any]) -> list[Grid]:
    """Return the tables of one benchmark: its cases, one table a set of figures, its limits and ratios.

    The goals are this project's, for its own machines: they are in the JSON only.
    """
    name = result["benchmark"]
    grids = [_grid(name, group) for group in _with_equal_figures(result["cases"])]
    if result["limits"]:
        grids.append(_limits_grid(f"{name}: limits", result["limits"]))
    if result.get("ratios"):  # results of earlier versions have none
        grids.append(_ratio_grid(f"{name}: ratios", result["ratios"]))
    return grids


def goal_grid(title: str, goals: Sequence[Mapping[str, Any]]) -> Grid:
    """Return the goals and the measured values."""
    rows = [
        [
            goal["name"],
            number(goal["value"]),
            f"{'at most' if goal['at_most'] else 'at least'} {number(goal['goal'])}",
            _verdict(goal),
        ]
        for goal in goals
    ]
    return Grid(title, ["goal", "measured", "wanted", "met"], rows)


def _ratio_grid(title: str, ratios: Sequence[Mapping[str, Any]]) -> Grid:
    rows = [
        [
            ratio["name"],
            f"{ratio['value']:.2f}",
            "-" if ratio["low"] is None else f"{ratio['low']:.2f} to {ratio['high']:.2f}",
            str(ratio["rounds"]),
        ]
        for ratio in ratios
    ]
    return Grid(title, ["times", "ratio", "95 % interval", "rounds"], rows)


def _verdict(goal: Mapping[str, Any]) -> str:
    # Older results do not say whether they were judged.
    if goal["value"] is None or not goal.get("judged", True):
        return "not judged"
    return "yes" if goal["met"] else "no"


def number(value: float | None) -> str:
    """Format a figure: about three digits, thousands apart; "-" for what was not measured."""
    if value is None:
        return "-"
    size = abs(value)
    if size >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3g}"


def markdown(content: Mapping[str, Any], chart: str | None) -> str:
    """Return a run as a page: where it ran, the chart, every table.

    Args:
        content: The JSON that ``session.save`` wrote.
        chart: The picture's file, as the page names it.
    """
    found = content["environment"]
    parts = [
        f"# Benchmarks of {found['date']}: {found['device']}, {content['took_s']:.0f} s\n",
        "Medians; in brackets the first and third quartile of interleaved repeats.\n",
        *([] if chart is None else [f"![chart]({chart})\n"]),
        environment_grid(found).to_markdown("##"),
    ]
    for result in content["results"]:
        parts.append(f"## {result['benchmark']}\n")
        settings = [
            f"{key.replace('_', ' ')}: {_plain(value)}" for key, value in result["settings"].items()
        ]
        parts.append("".join(f"- {line}\n" for line in [*settings, *result["notes"]]))
        parts += [grid.to_markdown("###") for grid in tables(result)]
    return "\n".join(part for part in parts if part)


def write(results: Path, out: Path) -> list[Path]:
    """Write the page and the chart of a run into ``out``, named as its JSON; return their paths.

    There is a chart if loaders were compared.

    Raises:
        FastrotError: The JSON was not written by fastrot bench, or the files cannot be written.
    """
    try:
        content = json.loads(results.read_text())
        # The chart is drawn first: the page shows it where there is one.
        out.mkdir(parents=True, exist_ok=True)
        picture = out / f"{results.stem}.png"
        drawn = has_matplotlib() and draw(content["results"], picture)
        if not has_matplotlib():
            say(f"no chart: {NO_MATPLOTLIB}")
        page = out / f"{results.stem}.md"
        write_file(page, markdown(content, picture.name if drawn else None))
    except OSError as error:
        raise FastrotError(f"{error.filename} cannot be used: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise FastrotError(
            f"{results} contains no results of fastrot bench: pass the file written by --out"
        ) from None
    return [page, picture] if drawn else [page]


def _with_equal_figures(outcomes: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Group outcomes by the figures that they have; those without any go with the first group."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    first = next((tuple(outcome["figures"]) for outcome in outcomes if outcome["figures"]), ())
    for outcome in outcomes:
        groups.setdefault(tuple(outcome["figures"]) or first, []).append(outcome)
    return list(groups.values())


def _grid(title: str, outcomes: Sequence[Mapping[str, Any]]) -> Grid:
    figures = next((list(outcome["figures"]) for outcome in outcomes if outcome["figures"]), [])
    facts = ["mb_per_video"] if any("mb_per_video" in o["facts"] for o in outcomes) else []
    rows = []
    reasons: dict[str, list[str]] = {}
    for outcome in outcomes:
        kind, reason = _reason(outcome)
        if kind:
            reasons.setdefault(f"{kind}: {reason}", []).append(outcome["name"])
            cells = [kind, *("" for _ in figures[1:])]
        else:
            cells = [_cell(outcome["figures"][name], spread=name == figures[0]) for name in figures]
        cells += [number(outcome["facts"].get(name)) for name in facts]
        rows.append([outcome["name"], *cells, str(outcome["repeats"])])
    notes = [f"{'; '.join(names)}: {reason}" for reason, names in reasons.items()]
    headings = [*map(heading, figures)] or ["figures"]
    return Grid(title, ["case", *headings, *map(unit, facts), "repeats"], rows, notes)


def _limits_grid(title: str, outcomes: Sequence[Mapping[str, Any]]) -> Grid:
    """Return all limits in one table, whatever their units."""
    rows = []
    for outcome in outcomes:
        kind, reason = _reason(outcome)
        repeats = str(outcome["repeats"])
        if kind:
            rows.append([outcome["name"], f"{kind}: {reason}", "", repeats])
        for name, figure in outcome["figures"].items():
            rows.append([outcome["name"], _cell(figure, spread=True), unit(name), repeats])
    return Grid(title, ["limit", "measured", "unit", "repeats"], rows)


_COSTS = re.compile(r"(^|_)(ms|kb|mb|gb)(_|$)|_s$")
"""Names of figures in a unit of time or memory."""


def unit(figure: str) -> str:
    """Return a figure's name with its unit as it is written: "clips/s" for ``clips_per_s``."""
    words = [
        {"mb": "MB", "gb": "GB", "cpu": "CPU", "tflop": "TFLOP"}.get(word, word)
        for word in figure.split("_")
    ]
    text = " ".join(words).replace(" per ", "/")
    for last in (" s", " MB"):
        text = f"{text.removesuffix(last)},{last}" if text.endswith(last) else text
    return text


def heading(figure: str) -> str:
    """Return ``unit``, and whether a higher or a lower figure is better if its unit says that."""
    if figure.endswith("_per_s"):
        return f"{unit(figure)} (higher is better)"
    if _COSTS.search(figure):
        return f"{unit(figure)} (lower is better)"
    return unit(figure)


def _cell(figure: Mapping[str, Any], *, spread: bool) -> str:
    median = number(figure["median"])
    return f"{median} ({number(figure['q1'])} to {number(figure['q3'])})" if spread else median


def _reason(outcome: Mapping[str, Any]) -> tuple[str, str]:
    """Return why there are no figures, as (kind, words); empty where there are some."""
    for key in ("failed", "not_here", "not_reached"):
        if outcome[key]:
            return key.replace("_", " "), str(outcome[key])
    return "", ""


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
