"""What `python -m benchmarks.acceptance` found, as a page of text: goals, figures, and what was left out."""

from collections.abc import Mapping
from typing import Any

from benchmarks.harness.results_page import number
from benchmarks.training.train_cases import OURS, REAL

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
    """Return the page."""
    found = content["environment"]
    lines = ["GPU acceptance of fastrot", ""]
    for key in ("date", "device", "cuda", "cudnn", "cpu", "usable_cores", "packages", "failed"):
        if found.get(key) is not None:
            value = found[key]
            if isinstance(value, Mapping):
                value = ", ".join(f"{name} {version}" for name, version in value.items())
            lines.append(f"{key}: {value}")
    lines += [f"took {content['took_s']:.0f} of {content['budget_s']:.0f} s", "", "Goals"]
    lines += [f"  {_goal(goal)}" for goal in _goals(content)] or ["  none was measured"]
    for name, part in content["parts"].items():
        lines += ["", f"{name}: {part['status']}"]
        lines += [f"  {line}" for line in _findings(part)]
    lines += ["", f"The paper's {ITERATIONS:,} iterations of 32 videos at these rates"]
    projection = content["projection"]
    lines += (
        [f"  {projection}"]
        if isinstance(projection, str)
        else [f"  {name}: {number(value)} minutes" for name, value in projection["minutes"].items()]
        or ["  no step was measured"]
    )
    lines += ["", "Left out", *(f"  {line}" for line in content["left_out"] or ["nothing"])]
    return "\n".join(lines) + "\n"


def _goals(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    goals = [
        goal
        for part in content["parts"].values()
        for goal in part.get("result", {}).get("goals", [])
    ]
    projection = content["projection"]
    return goals if isinstance(projection, str) else [*goals, projection["goal"]]


def _goal(goal: Mapping[str, Any]) -> str:
    verdict = "not measured" if goal["value"] is None else "met" if goal["met"] else "MISSED"
    bound = "at most" if goal["at_most"] else "at least"
    return (
        f"{verdict}: {goal['name']}: {number(goal['value'])}, wanted {bound} {number(goal['goal'])}"
    )


def _findings(part: Part) -> list[str]:
    lines = []
    if "tests" in part:
        lines.append(", ".join(f"{count} {what}" for what, count in part["tests"].items()))
        lines += [f"FAILED {name}" for name in part["failures"]]
    if part.get("error"):
        lines += part["error"].strip().splitlines()[-8:]
    result = part.get("result", {})
    for case in [*result.get("limits", []), *result.get("cases", [])]:
        if case["failed"]:
            lines.append(f"{case['name']}: FAILED: {case['failed']}")
        elif case["figures"]:
            figures = (
                f"{name} {number(value['median'])}" for name, value in case["figures"].items()
            )
            lines.append(f"{case['name']}: {', '.join(figures)}")
    return [*lines, *result.get("notes", [])]
