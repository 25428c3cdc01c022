"""What ``python -m benchmarks.acceptance`` found, as a page: goals, figures, and what was skipped."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.acceptance.parts import MACHINE
from benchmarks.acceptance.rows import parts_of
from benchmarks.harness.results_page import goal_grid, number, tables
from fastrot.report.grid import Grid, environment_grid

ITERATIONS = 104_000
"""Of the paper's pre-training, of 32 videos each (section 4.2)."""

CALCULATED = {
    "calculated for an H100: the eager step": "48 to 57",
    "calculated for an H100: with all candidates": "32",
}
"""Minutes that docs/gpu.md calculates for them: steps of 28 to 33 ms, and of 18.5 ms."""

SYNTHETIC, REAL, BOUND = "fastrot", "real data", "step bound"
"""The names of the training steps in ``benchmarks.training.train_cases``, and of their limit in
``benchmarks.train``; both import torch."""

BAD = ("failed", "stopped", "killed")

Part = Mapping[str, Any]


def content_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return everything that the rows hold, as plain values."""
    parts = parts_of(rows)
    machine = parts.get(MACHINE, {}).get("environments", {}).get("", {})
    for part in parts.values():
        if {"tests", "test_lists"} & part.keys():
            part["tested"] = _tested(part.pop("tests", {}), part.pop("test_lists", {}))
    return {
        "environment": machine.get("environment", {}),
        "took_s": round(sum(part.get("took_s", 0.0) for part in parts.values()), 1),
        "parts": parts,
        "minutes": project(parts),
        "skipped": skipped(parts),
    }


def failed(content: Mapping[str, Any]) -> bool:
    """Return whether a part failed or was stopped."""
    return any(part["status"] in BAD for part in content["parts"].values())


def _tested(found: Mapping[str, Part], lists: Mapping[str, Part]) -> dict[str, Any]:
    """Return tests by their outcome: counts, texts of failures, what was skipped, what did not run.

    A file of tests that cannot be read has an outcome, but is in no list.
    """
    return {
        "counts": dict(Counter(test["outcome"] for test in found.values())),
        "failures": {
            name: test["text"] for name, test in found.items() if test["outcome"] == "failed"
        },
        "skipped": dict(
            Counter(test["text"] for test in found.values() if test["outcome"] == "skipped")
        ),
        "not_run": [
            name for planned in lists.values() for name in planned["names"] if name not in found
        ],
    }


def project(parts: Mapping[str, Part]) -> dict[str, float]:
    """Return the minutes of the paper's pre-training at the measured step times, by where the data come from.

    They include those at the step's bound on this card.
    """
    found: dict[str, float] = {}
    for name in ("step", "real data"):
        for case, outcome in parts.get(name, {}).get("cases", {}).items():
            wanted = case in (SYNTHETIC, BOUND) or case.startswith(REAL)
            if outcome["figures"] and wanted:
                ms = outcome["figures"]["ms_per_step"]["median"]
                found.setdefault(case, ITERATIONS * ms / 60e3)
    return found


def skipped(parts: Mapping[str, Part]) -> list[str]:
    """Return a sentence for everything that was not measured or tested, and why."""
    lines = []
    for name, part in parts.items():
        if part["status"] != "done" and part["status"] not in BAD:
            lines.append(f"{name}: {part['status']}")
        for case, outcome in part.get("cases", {}).items():
            for reason in ("not_here", "not_reached"):
                if outcome[reason]:
                    lines.append(f"{name}, {case}: {outcome[reason]}")
        tested = part.get("tested", {"skipped": {}, "not_run": []})
        lines += [f"{name}, {count} of them: {why}" for why, count in tested["skipped"].items()]
        lines += [f"{name}, {test}: did not run" for test in tested["not_run"]]
    return lines


def render(content: Mapping[str, Any]) -> str:
    """Return the page in Markdown."""
    parts = content["parts"]
    # Several parts measure the training step; the first one that can judge a goal decides.
    goals: dict[str, Part] = {}
    for part in parts.values():
        for name, goal in part.get("goals", {}).items():
            if name not in goals or (goal.get("judged", True) and not goals[name]["judged"]):
                goals[name] = {"name": name, "judged": True, **goal}
    page = [
        f"# GPU acceptance of fastrot, {content['took_s']:.0f} s\n",
        environment_grid(content["environment"]).to_markdown("##"),
    ]
    if goals:
        page.append(goal_grid("Goals", list(goals.values())).to_markdown("##"))
    if content["minutes"]:
        rows = [[name, number(value)] for name, value in content["minutes"].items()]
        rows += [[name, minutes] for name, minutes in CALCULATED.items()]
        title = f"Minutes of the paper's {ITERATIONS:,} iterations of 32 videos at these rates"
        page.append(Grid(title, ["step", "minutes"], rows).to_markdown("##"))
    for name, part in parts.items():
        page += [f"## {name}: {_status(part)}\n", _bullets(_sentences(part))]
        cases = [{"name": case, **values} for case, values in part.get("cases", {}).items()]
        result = {"benchmark": name, "cases": cases, "limits": [], "goals": []}
        page += [grid.to_markdown("###") for grid in tables(result)] if cases else []
    page += ["## Skipped\n", _bullets(content["skipped"] or ["nothing"])]
    return "\n".join(text for text in page if text)


def _status(part: Part) -> str:
    if not part.get("limit_s"):
        return str(part["status"])
    return f"{part['status']}, {part.get('took_s', 0):.0f} of {part['limit_s']:.0f} s"


def _sentences(part: Part) -> list[str]:
    """Return the other results of a part: counts of tests, failures, an error, notes."""
    tested = part.get("tested", {"counts": {}, "failures": {}})
    counts = ", ".join(f"{count} {outcome}" for outcome, count in tested["counts"].items())
    return [
        *([counts] if counts else []),
        *(f"FAILED {name}" for name in tested["failures"]),
        *[line for line in part.get("error", "").strip().splitlines() if line.strip()][-8:],
        *(note["text"] for note in part.get("notes", {}).values()),
    ]


def _bullets(lines: Sequence[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)
