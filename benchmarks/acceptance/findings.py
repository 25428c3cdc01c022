"""What ``python -m benchmarks.acceptance`` found, as a page: goals, figures, and what was skipped."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.harness.results_page import goal_grid, number, tables
from benchmarks.training.train_cases import OURS, REAL
from fastrot.report.grid import Grid, environment_grid

ITERATIONS = 104_000
"""Of the paper's pre-training, of 32 videos each (section 4.2)."""

GOAL_MINUTES = 30.0

Part = Mapping[str, Any]


def project(train: Part) -> dict[str, Any]:
    """Return the minutes of the paper's pre-training at the measured step times, by where the data come from.

    The goal's value is the slower of raw and mjpeg, None where one was not measured.
    """
    found = {}
    for case in train.get("result", {}).get("cases", []):
        if case["figures"] and (case["name"] == OURS or case["name"].startswith(REAL)):
            found[case["name"]] = ITERATIONS * case["figures"]["ms_per_step"]["median"] / 60e3
    real = [found.get(f"{REAL}: {codec}") for codec in ("raw", "mjpeg")]
    measured = [minutes for minutes in real if minutes is not None]
    value = max(measured) if len(measured) == len(real) else None
    return {
        "minutes": found,
        "goal": {
            "name": f"minutes of {ITERATIONS:,} iterations, from raw and from mjpeg",
            "value": value,
            "goal": GOAL_MINUTES,
            "at_most": True,
            "met": value is not None and value <= GOAL_MINUTES,
        },
    }


def left_out(content: Mapping[str, Any], absent: Mapping[str, str]) -> list[str]:
    """Return a sentence for everything that was not measured, and why."""
    lines = [f"{name} is not installed: {what}" for name, what in absent.items()]
    for name, part in content["parts"].items():
        if part["status"] not in ("done", "failed"):
            lines.append(f"{name}: {part.get('error', part['status'])}")
        lines += [
            f"tests: {count} tests or files of tests that need {package}"
            for package, count in part.get("left_out", {}).items()
        ]
        result = part.get("result", {})
        for case in [*result.get("cases", []), *result.get("limits", [])]:
            for reason in ("not_here", "not_reached"):
                if case[reason]:
                    lines.append(f"{name}, {case['name']}: {case[reason]}")
    return lines


def render(content: Mapping[str, Any]) -> str:
    """Return the page in Markdown."""
    projection, results = content["projection"], content["parts"].values()
    goals = [goal for part in results for goal in part.get("result", {}).get("goals", [])]
    page = [
        f"# GPU acceptance of fastrot, {content['took_s']:.0f} of {content['budget_s']:.0f} s\n",
        environment_grid(content["environment"]).to_markdown("##"),
    ]
    if not isinstance(projection, str):
        rows = [[name, number(value)] for name, value in projection["minutes"].items()]
        title = f"The paper's {ITERATIONS:,} iterations of 32 videos at these rates"
        page += [
            goal_grid("Goals", [*goals, projection["goal"]]).to_markdown("##"),
            Grid(title, ["clips from", "minutes"], rows).to_markdown("##"),
        ]
    for name, part in content["parts"].items():
        page += [f"## {name}: {part['status']}\n", _bullets(_findings(part))]
        grids = tables({**part["result"], "goals": []}) if "result" in part else []
        page += [grid.to_markdown("###") for grid in grids]
    page += ["## Skipped\n", _bullets(content["left_out"] or ["nothing"])]
    return "\n".join(text for text in page if text)


def _findings(part: Part) -> list[str]:
    """Return the other results of a part: counts of tests, failures, an error, notes."""
    tests = ", ".join(f"{count} {what}" for what, count in part.get("tests", {}).items())
    return [
        *([tests] if tests else []),
        *(f"FAILED {name}" for name in part.get("failures", [])),
        *part.get("error", "").strip().splitlines()[-8:],
        *part.get("result", {}).get("notes", []),
    ]


def _bullets(lines: Sequence[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)
