"""CPU affinity: bind each of a machine's processes to an even share of the cores near its GPU.

Processes that move between all cores lose their caches and, on machines with several sockets, access memory
of the other socket. Linux lists the cores near each GPU in /sys.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import torch

SYS = Path("/sys")


def bind(local_rank: int, local_world: int) -> int | None:
    """Bind this process, and the threads it starts later, to its share of the cores.

    The only process on a machine keeps all cores, because decoding may need them. A process that is already
    bound, for example by ``torchrun --numa-binding``, is not changed.

    Args:
        local_rank: Index of this process on the machine; it uses the GPU of the same index.
        local_world: Number of processes on this machine.

    Returns:
        The number of threads that have their own cores. None if the process is not bound: it is the only one,
        the system is not Linux, or there are fewer cores than processes. If torchrun bound several processes
        to the same cores (of a NUMA node or socket), each counts an even share of the machine's cores.
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
        cores: The available cores.
        near: For each process, the cores near its GPU; None if it has no GPU or they are unknown.
        order: The cores in the order of assignment, with the siblings of a physical core next to each other.

    Returns:
        Each process's cores. Processes with the same near cores share them evenly. If any process would get
        none, all processes share all cores evenly. If there are fewer cores than processes, all get none.
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
    """Order cores so that the hardware threads of a physical core are adjacent."""

    def place(core: int) -> tuple[int, int]:
        file = sys / f"devices/system/cpu/cpu{core}/topology/thread_siblings_list"
        return min(_read_list(file) or {core}), core

    return sorted(cores, key=place)


def gpu_cores(pci: str, sys: Path = SYS) -> frozenset[int] | None:
    """Return the cores near a PCI device such as 0000:3b:00.0; None if Linux does not list them."""
    return _read_list(sys / f"bus/pci/devices/{pci}/local_cpulist") or None


def _pci(index: int) -> str | None:
    """Return the PCI address of a GPU, given its index among the GPUs visible to this process."""
    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        return None
    found = torch.cuda.get_device_properties(index)
    domain, bus, device = found.pci_domain_id, found.pci_bus_id, found.pci_device_id  # type: ignore[attr-defined]
    return f"{domain:04x}:{bus:02x}:{device:02x}.0"


def _read_list(file: Path) -> frozenset[int]:
    """Read a Linux CPU list such as 0-3,8,10-11; empty if the file does not exist."""
    try:
        text = file.read_text().strip()
    except OSError:
        return frozenset()
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)
