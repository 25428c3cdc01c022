"""The checks of all processes that torchrun started, gathered in each of them.

The processes meet first. Then the first process of each machine checks it, which takes long if its disk is
cold. Only then do all form a group, which has a short timeout, and measure it.
"""

import dataclasses
import json
import socket
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from fastrot.distributed.first_process import is_first_process
from fastrot.doctor.check import Check, missing, warning
from pipelines.errors import FastrotError, first_line

if TYPE_CHECKING:
    from torch.distributed import Store

    from fastrot.distributed.runtime import Runtime

TIMEOUT_S = 120.0
MACHINE_TIMEOUT_S = 1800.0
PAGE = "docs/guides/hangs.md"


@dataclasses.dataclass(frozen=True)
class Meeting:
    """The processes after all have started: a store that they share, this one's rank, and their number."""

    store: "Store"
    rank: int
    world: int

    def wait_for_machines(self) -> None:
        """Wait until every process has called this function, after the checks of its machine.

        Raises:
            FastrotError: A process does not within half an hour.
        """
        self.store.set(f"checked/{self.rank}", "yes")
        deadline = time.monotonic() + MACHINE_TIMEOUT_S
        waiting = list(range(self.world))
        while waiting := [rank for rank in waiting if not self.store.check([f"checked/{rank}"])]:
            if time.monotonic() > deadline:
                raise FastrotError(
                    f"rank {', '.join(map(str, waiting))} did not finish the checks of its machine within "
                    f"{MACHINE_TIMEOUT_S:g} s: run fastrot doctor there without torchrun"
                )
            time.sleep(0.1)


def meet() -> Meeting | Check:
    """Wait until all processes have started; return the check to report if one does not."""
    try:
        from torch.distributed.distributed_c10d import PrefixStore
        from torch.distributed.rendezvous import rendezvous

        from fastrot.distributed.rollcall import fresh_prefix
    except ImportError:
        return missing("ranks", "not tried", "see torch", stops=True)
    try:
        store, rank, world = next(rendezvous("env://", timeout=timedelta(seconds=TIMEOUT_S)))
        store = PrefixStore(fresh_prefix(store, rank, world, TIMEOUT_S), store)
    except (FastrotError, RuntimeError) as error:  # RuntimeError: of the store
        return _failed(error)
    return Meeting(store, rank, world)


def check_together(own: Sequence[Check], met: Meeting | Check) -> list[Check]:
    """Measure the processes together; every process must call this, and gets the same result.

    A process that fails does not raise the error: torchrun would stop rank 0 before it has reported.

    Args:
        own: The checks of this machine, in its first process; empty in its other ones.
        met: The result of ``meet``.

    Returns:
        What other machines than that of rank 0 have to report, and the checks of the processes. If they
        cannot work together, this as a check; other processes than rank 0 also print it to standard error,
        since they may know more.
    """
    if isinstance(met, Check):
        return [met]
    from fastrot.distributed.runtime import Runtime
    from fastrot.doctor.ranks import check_ranks, measure_ranks

    try:
        met.wait_for_machines()
        with Runtime.start(timeout_s=TIMEOUT_S) as runtime, runtime.explaining():
            return [*_of_other_machines(own, runtime), *check_ranks(measure_ranks(runtime))]
    except (FastrotError, RuntimeError) as error:  # RuntimeError: of gloo and NCCL
        return [_failed(error)]


def _failed(error: Exception) -> Check:
    if not is_first_process():
        print(f"fastrot: error: {first_line(error)} (see {PAGE})", file=sys.stderr, flush=True)
    return warning("ranks", f"cannot work together: {error}", f"see {PAGE}", stops=True)


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
