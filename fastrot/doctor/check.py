"""One line of the doctor's report."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["good", "warning", "missing"]


@dataclass(frozen=True)
class Check:
    """What was found, and what to make of it.

    Attributes:
        name: what was looked at, the same in every report.
        status: good; warning: it works, but the remedy would help; missing: it is not there.
        found: what was found, in words.
        remedy: what to do, or what its lack costs; empty where all is well.
        stops: whether training cannot run like this.
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
    """Return a check that is well."""
    return Check(name, "good", found)


def warning(name: str, found: str, remedy: str, *, stops: bool = False) -> Check:
    """Return a check with something to mend."""
    return Check(name, "warning", found, remedy, stops)


def missing(name: str, found: str, cost: str, *, stops: bool = False) -> Check:
    """Return a check of something absent; ``cost`` says what follows from that."""
    return Check(name, "missing", found, cost, stops)
