"""Find the process of a run that no longer responds, using a store that works without the other processes."""

import hashlib
import os
import secrets
import socket
import time
from dataclasses import dataclass
from datetime import timedelta

import torch.distributed as dist
from torch.distributed.distributed_c10d import Store

from pipelines.errors import FastrotError, first_line

GRACE_S = 10.0
_SIGNS = ("gloo", "closed by peer", "reset by peer", "pair closure", "ProcessGroup")


@dataclass(frozen=True)
class RollCall:
    """The names of a run's processes, and a shared record of those that are alive.

    A failed collective operation does not say which process is gone or stuck. Every process that notices the
    failure records that it is alive; the processes that do not are the missing ones.
    """

    store: Store
    rank: int
    world: int
    timeout_s: float

    def enter(self) -> None:
        """Record the process id and host of this process."""
        self.store.set(f"who/{self.rank}", f"process {os.getpid()} on {socket.gethostname()}")

    def first_to_report(self, message: str) -> bool:
        """Return whether no other process has reported this message; True if that is unknown."""
        digest = hashlib.sha256(message.encode(errors="surrogatepass")).hexdigest()
        try:
            self.store.set_timeout(timedelta(seconds=GRACE_S))
            return self.store.add(f"reported/{digest}", 1) == 1
        except RuntimeError:
            return True

    def missing(self, wait_s: float) -> list[str]:
        """Record that this process is alive, wait, and return the names of processes that did not."""
        deadline = time.monotonic() + wait_s
        self.store.set_timeout(timedelta(seconds=max(1.0, wait_s)))
        self.store.set(f"alive/{self.rank}", "yes")
        others = [rank for rank in range(self.world) if rank != self.rank]
        while others and time.monotonic() < deadline:
            others = [rank for rank in others if not self.store.check([f"alive/{rank}"])]
            time.sleep(0.1)
        return [f"rank {rank} ({self._who(rank)})" for rank in others]

    def explain(self, error: BaseException) -> str:
        """Return a message that names the process that ended or does not respond, and what to do."""
        ended = "closed by peer" in str(error) or "reset by peer" in str(error)
        try:
            missing = self.missing(min(GRACE_S, self.timeout_s) * (0.2 if ended else 1.0))
        except RuntimeError:
            missing = ["rank 0 (which hosts the store)"]
        if not missing:
            return f"the connection between the processes failed, although all are alive: {first_line(error)}"
        what = "ended" if ended else f"did not respond for {self.timeout_s:g} s (train.timeout_s)"
        return (
            f"{' and '.join(missing)} {what}: the run cannot continue. Look for its error above, "
            "and start again with --resume."
        )

    def _who(self, rank: int) -> str:
        known = self.store.check([f"who/{rank}"])
        return self.store.get(f"who/{rank}").decode() if known else "which never started"


def fresh_prefix(store: Store, rank: int, world: int, timeout_s: float) -> str:
    """Return a key prefix that is shared by all processes of this start and new to the store.

    torchrun keeps one store across restarts, and gloo would read the addresses of processes that have ended.
    Nodes may count restarts differently, so the processes agree on a prefix themselves: each one sends rank 0
    a random number, and uses the prefix that rank 0 returns for this number.

    Raises:
        FastrotError: A process does not start in time.
    """
    mine = secrets.token_hex(8)
    waiting = set(range(1, world)) if rank == 0 else {0}
    deadline = time.monotonic() + timeout_s
    prefix = mine
    if rank:
        store.set(f"hello/{rank}", mine)
    while waiting:
        if time.monotonic() > deadline:
            missing = ", ".join(map(str, sorted(waiting)))
            raise FastrotError(
                f"rank {missing} did not start within {timeout_s:g} s (train.timeout_s): look for its error "
                "above, or increase train.timeout_s"
            )
        if rank == 0:
            waiting -= {other for other in waiting if _greeted(store, other, mine)}
        elif store.check([f"answer/{mine}"]):
            prefix = store.get(f"answer/{mine}").decode()
            store.set(f"taken/{prefix}/{rank}", "yes")
            waiting.clear()
        time.sleep(0.02)
    return prefix


def _greeted(store: Store, other: int, prefix: str) -> bool:
    """Answer the current number of another process; return whether it has accepted the answer."""
    if store.check([f"hello/{other}"]):
        store.set(f"answer/{store.get(f'hello/{other}').decode()}", prefix)
    return bool(store.check([f"taken/{prefix}/{other}"]))


def is_about_others(error: BaseException) -> bool:
    """Return whether an error came from communication with other processes."""
    return isinstance(error, dist.DistError) or any(sign in str(error) for sign in _SIGNS)
