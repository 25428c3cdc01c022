"""Which CPU cores each of a machine's processes keeps to: those near its GPU, shared out evenly.

Processes that wander over all cores read each other's caches, and, on machines with several sockets,
memory that lies behind the other one. Linux tells in /sys which cores are near which GPU.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import torch

SYS = Path("/sys")


def bind(local_rank: int, local_world: int) -> int | None:
    """Keep this process, and the threads it starts from now on, to its share of the cores.

    A process that has the machine for itself keeps all its cores: decoding may need them. One that was
    bound already, by `torchrun --numa-binding` say, is left as it is.

    Args:
        local_rank: which of this machine's processes it is; it uses the GPU of that number.
        local_world: processes on this machine.

    Returns:
        How many threads have cores of their own here; None where nothing binds the process: it is the
        only one, this is no Linux, or there are fewer cores than processes. Several that torchrun bound to
        the same cores, those of a node or socket, have an even share of the machine's each.
    """
    if local_world == 1 or not hasattr(os, "sched_setaffinity"):
        return None
    mine = os.sched_getaffinity(0)
    parents = os.sched_getaffinity(os.getppid())
    if mine != parents:
        return max(1, min(len(mine), len(parents) // local_world))
    near = [gpu_cores(pci) if (pci := _pci(rank)) else None for rank in range(local_world)]
    chosen = share(mine, near, siblings(mine))[local_rank]
    if not chosen:
        return None
    os.sched_setaffinity(0, chosen)
    return len(chosen)


def share(
    cores: set[int], near: Sequence[frozenset[int] | None], order: Sequence[int]
) -> list[list[int]]:
    """Divide cores among processes.

    Args:
        cores: what there is.
        near: for each process, the cores near its GPU; None where it has none or nobody knows.
        order: the cores in the order in which they are dealt out, siblings of a physical core together.

    Returns:
        Each process's cores. Those with the same near cores share these evenly; if any process would
        get none, all share all evenly; if there are fewer cores than processes, all get none.
    """
    wanted = [((places or frozenset()) & cores) or frozenset(cores) for places in near]
    shares = _deal(wanted, order)
    if not all(shares) or _overlap(shares):
        shares = _deal([frozenset(cores)] * len(near), order)
    return shares if all(shares) else [[] for _ in near]


def _deal(wanted: Sequence[frozenset[int]], order: Sequence[int]) -> list[list[int]]:
    shares = []
    for rank, places in enumerate(wanted):
        group = [other for other, theirs in enumerate(wanted) if theirs == places]
        mine = [core for core in order if core in places]
        position, count = group.index(rank), len(group)
        shares.append(mine[position * len(mine) // count : (position + 1) * len(mine) // count])
    return shares


def _overlap(shares: Sequence[Sequence[int]]) -> bool:
    return sum(map(len, shares)) != len(set().union(*shares))


def siblings(cores: set[int], sys: Path = SYS) -> list[int]:
    """Order cores so that the hardware threads of a physical core follow one another."""

    def place(core: int) -> tuple[int, int]:
        file = sys / f"devices/system/cpu/cpu{core}/topology/thread_siblings_list"
        return min(_read_list(file) or {core}), core

    return sorted(cores, key=place)


def gpu_cores(pci: str, sys: Path = SYS) -> frozenset[int] | None:
    """Return the cores near the PCI device such as 0000:3b:00.0; None where Linux does not tell."""
    return _read_list(sys / f"bus/pci/devices/{pci}/local_cpulist") or None


def _pci(index: int) -> str | None:
    """Return the PCI address of a GPU by its number among those that this process sees."""
    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        return None
    found = torch.cuda.get_device_properties(index)
    domain, bus, device = found.pci_domain_id, found.pci_bus_id, found.pci_device_id  # type: ignore[attr-defined]
    return f"{domain:04x}:{bus:02x}:{device:02x}.0"


def _read_list(file: Path) -> frozenset[int]:
    """Read a list of Linux such as 0-3,8,10-11; nothing where there is no such file."""
    try:
        text = file.read_text().strip()
    except OSError:
        return frozenset()
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)
