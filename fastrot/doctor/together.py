"""The checks of all processes that torchrun started, gathered in each of them."""

import dataclasses
import json
import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastrot.doctor.check import Check, missing, warning
from pipelines.errors import FastrotError, first_line

if TYPE_CHECKING:
    from fastrot.distributed.runtime import Runtime

TIMEOUT_S = 120.0
PAGE = "docs/guides/hangs.md"


def check_together(own: Sequence[Check]) -> list[Check]:
    """Measure the processes together; every process must call this, and gets the same result.

    Args:
        own: The checks of this machine, in its first process; empty in its other ones.

    Returns:
        What other machines than that of rank 0 have to report, and the checks of the processes. If they
        cannot work together, rank 0 gets this as a check.

    Raises:
        FastrotError: They cannot work together; in other processes than rank 0.
    """
    try:
        from fastrot.distributed.runtime import Runtime
        from fastrot.doctor.ranks import check_ranks, measure_ranks
    except ImportError:
        return [missing("ranks", "not tried", "see torch", stops=True)]
    try:
        with Runtime.start(timeout_s=TIMEOUT_S) as runtime, runtime.explaining():
            return [*_of_other_machines(own, runtime), *check_ranks(measure_ranks(runtime))]
    except (FastrotError, RuntimeError) as error:  # RuntimeError: of gloo and NCCL
        if os.environ.get("RANK", "0") != "0":  # prints no rows, and rank 0 may know less
            raise FastrotError(f"{first_line(error)} (see {PAGE})") from None
        return [warning("ranks", f"cannot work together: {error}", f"see {PAGE}", stops=True)]


def _of_other_machines(own: Sequence[Check], runtime: "Runtime") -> list[Check]:
    """Return the checks of other machines that are not good, and not the same on rank 0's machine."""
    mine = json.dumps([socket.gethostname(), [dataclasses.asdict(check) for check in own]])
    (_, first), *others = map(json.loads, runtime.all_bytes(mine.encode()))
    return [
        Check(**{**check, "found": f"on {host}: {check['found']}"})
        for host, checks in others
        for check in checks
        if check["status"] != "good" and check not in first
    ]
