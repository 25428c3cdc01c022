"""Selects values from the results of the cheap-cues study, for its tables and its figure."""

from collections.abc import Mapping
from typing import Any

from benchmarks.cheap_cues.study_plan import (
    CLEAN,
    TRAP,
    Condition,
    Pretraining,
    transfer_key,
)

STARTS = ("scratch", TRAP.name, CLEAN.name, "supervised")
"""What the transfers of the cross start from, in the order of its rows."""


def accuracies(
    results: Mapping[str, Any], start: str, condition: str, value: str = "top1"
) -> dict[int, float]:
    """Return a value in % of every measured transfer from ``start`` to ``condition``, by seed."""
    found = {}
    for seed in range(results["settings"]["seeds"]):
        key = transfer_key(start, condition, seed)
        if key in results["trainings"]:
            found[seed] = results["trainings"][key][value]
    return found


def pretrainings(
    results: Mapping[str, Any], condition: Condition, tested: Condition
) -> list[dict[str, Any]]:
    """Return what was measured under ``tested`` on the networks pre-trained under ``condition``, by seed."""
    keys = (Pretraining(condition, seed).key for seed in range(results["settings"]["seeds"]))
    records = [results["trainings"][key] for key in keys if key in results["trainings"]]
    return [each["tested"][tested.name] for each in records if tested.name in each["tested"]]


def leads(found: Mapping[str, Any]) -> list[float]:
    """Return by how many points the probe of each block leads that of a random network."""
    return [ours - none for ours, none in zip(found["probe"], found["probe_random"], strict=True)]
