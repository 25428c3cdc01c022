"""Memory, cores and open files: what the machine and its container leave to us."""

import os
import resource
from dataclasses import dataclass
from pathlib import Path

from fastrot.distributed.thread_count import users_threads
from fastrot.doctor.check import Check, good, warning
from pipelines.cores import cores
from pipelines.store.shard_files import OPEN_FILES

GIB = 1 << 30
LEAST_MEMORY = 4 * GIB
SPARE_FILES = 256  # what Python, torch, DALI and NCCL have open besides shards
CORES_A_GPU = 2


@dataclass(frozen=True)
class Machine:
    """What there is.

    Attributes:
        memory: bytes in all, of the machine or of the container.
        available: bytes that may still be taken.
        cores: those this process may run on.
        quota: cores' worth of time that a container is given; None: no limit.
        open_files: the soft and the hard limit.
        threads: the user's OMP_NUM_THREADS, if any.
        wait_policy: OMP_WAIT_POLICY, if it is set.
    """

    memory: int
    available: int
    cores: int
    quota: float | None = None
    open_files: tuple[int, int] = (1024, 1024)
    threads: int | None = None
    wait_policy: str = ""


def find_machine(root: Path = Path("/")) -> Machine:
    """Read the kernel's files below ``root`` and the process's limits."""
    memory, available = _memory(root)
    return Machine(
        memory=memory,
        available=available,
        cores=cores(),
        quota=_quota(root / "sys/fs/cgroup"),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE),
        threads=users_threads(os.environ),
        wait_policy=os.environ.get("OMP_WAIT_POLICY", ""),
    )


def _memory(root: Path) -> tuple[int, int]:
    """Return the bytes in all and those available, by the machine's or the container's smaller limit."""
    lines = (root / "proc/meminfo").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    total, free = (int(fields[key].split()[0]) << 10 for key in ("MemTotal", "MemAvailable"))
    cgroup = root / "sys/fs/cgroup"
    limit, used = _number(cgroup / "memory.max"), _number(cgroup / "memory.current")
    if limit is None:
        return total, free
    return min(total, limit), min(free, limit - (used or 0))


def _number(path: Path) -> int | None:
    """Return a control group's number; None where there is no file, or no limit ("max")."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _quota(cgroup: Path) -> float | None:
    try:
        allowed, period = (cgroup / "cpu.max").read_text().split()
        return int(allowed) / int(period)
    except (OSError, ValueError):
        return None


def check_machine(machine: Machine, *, gpus: int, shards: int | None) -> list[Check]:
    """Judge the machine for ``gpus`` GPUs and a store of ``shards`` (None: not known)."""
    return [
        _check_memory(machine),
        _check_cores(machine, gpus),
        _check_threads(machine),
        _check_files(machine, shards),
    ]


def _check_memory(machine: Machine) -> Check:
    found = f"{machine.available / GIB:.1f} of {machine.memory / GIB:.1f} GiB available"
    if machine.available < LEAST_MEMORY:
        remedy = "training may be killed: free some, or lower train.batch and data.prefetch"
        return warning("memory", found, remedy)
    return good("memory", found)


def _check_cores(machine: Machine, gpus: int) -> Check:
    found = f"{machine.cores}"
    if machine.quota is not None and machine.quota < 0.9 * machine.cores:
        remedy = (
            "threads are made for all cores and then stopped by the quota: pin the container instead "
            f"(--cpuset-cpus), or set data.threads={max(1, round(machine.quota))}"
        )
        return warning("cores", f"{found}, but time for {machine.quota:g} only", remedy)
    if gpus and machine.cores < CORES_A_GPU * gpus:
        remedy = f"reading and feeding want {CORES_A_GPU} cores a GPU at least"
        return warning("cores", f"{found} for {gpus} GPUs", remedy)
    return good("cores", found)


def _check_threads(machine: Machine) -> Check:
    found = f"torch and DALI get {machine.cores} cores / processes each"
    if machine.threads is not None:
        found = (
            f"torch computes with {machine.threads} (OMP_NUM_THREADS; train.threads wins over it), "
            f"DALI gets {machine.cores} cores / processes"
        )
    if machine.wait_policy.upper() == "ACTIVE":
        remedy = "threads that spin while they wait slow every process down: unset OMP_WAIT_POLICY"
        return warning("threads", f"{found}, OMP_WAIT_POLICY={machine.wait_policy}", remedy)
    return good("threads", found)


def _check_files(machine: Machine, shards: int | None) -> Check:
    soft, hard = machine.open_files
    needed = SPARE_FILES + OPEN_FILES  # the reader closes the least recently used beyond these
    if shards is not None:
        needed = SPARE_FILES + min(2 * shards, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < needed:
        top = "" if hard == resource.RLIM_INFINITY or hard >= needed else ", which root must allow"
        return warning("open files", f"{soft}", f"ulimit -n {max(4096, needed)}{top}")
    return good("open files", "no limit" if soft == resource.RLIM_INFINITY else f"{soft}")
