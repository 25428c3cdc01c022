"""One line of the report of ``fastrot doctor``."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["good", "warning", "missing"]

INDENT = 25
"""Columns before what was found, and before the remedy below it."""


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: Name of the check, the same in every report.
        status: Good; warning: it works, but can be improved; missing: it is not available.
        found: Description of what was found.
        remedy: The fix, or the consequence if it is missing; empty if the status is good.
        stops: Whether training cannot run in this state.
    """

    name: str
    status: Status
    found: str
    remedy: str = ""
    stops: bool = False

    def __str__(self) -> str:
        line = f"{self.status:8} {self.name:15} {self.found}"
        if self.remedy:
            line += f"\n{'':8} {'STOPS TRAINING:' if self.stops else '':15} {self.remedy}"
        return line


def good(name: str, found: str) -> Check:
    """Return a check with status good."""
    return Check(name, "good", found)


def warning(name: str, found: str, remedy: str, *, stops: bool = False) -> Check:
    """Return a check with status warning."""
    return Check(name, "warning", found, remedy, stops)


def missing(name: str, found: str, cost: str, *, stops: bool = False) -> Check:
    """Return a check with status missing; ``cost`` describes the consequence."""
    return Check(name, "missing", found, cost, stops)
