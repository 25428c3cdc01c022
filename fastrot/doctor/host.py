"""Memory, cores, open files and the allocator: what the machine and its container leave to us."""

import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fastrot.distributed.allocator import keep_freed_memory
from fastrot.distributed.thread_count import users_threads
from fastrot.doctor.check import Check, good, missing, warning
from pipelines.cores import cores
from pipelines.store.shard_files import OPEN_FILES

GIB = 1 << 30
LEAST_MEMORY = 4 * GIB
SPARE_FILES = 256  # what Python, torch, DALI and NCCL have open besides shards
CORES_A_GPU = 2

VARIABLES = ("OMP_WAIT_POLICY", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")


@dataclass(frozen=True)
class Machine:
    """What there is.

    Attributes:
        memory: bytes in all, of the machine or of the container.
        available: bytes that may still be taken.
        cores: those this process may run on.
        quota: cores' worth of time that a container is given; None: no limit.
        open_files: the soft and the hard limit.
        keeps_memory: whether the allocator was told to keep freed memory.
        threads: the user's OMP_NUM_THREADS, if any.
        variables: those of VARIABLES that are set.
    """

    memory: int
    available: int
    cores: int
    quota: float | None = None
    open_files: tuple[int, int] = (1024, 1024)
    keeps_memory: bool = True
    threads: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


def find_machine(root: Path = Path("/")) -> Machine:
    """Read the kernel's files below ``root`` and the process's limits."""
    memory, available = _memory(root)
    return Machine(
        memory=memory,
        available=available,
        cores=cores(),
        quota=_quota(root / "sys/fs/cgroup"),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE),
        keeps_memory=keep_freed_memory(),
        threads=users_threads(os.environ),
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ},
    )


def _memory(root: Path) -> tuple[int, int]:
    """Return the bytes in all and those available, by the machine's or the container's smaller limit."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        total, free = (int(fields[key].split()[0]) << 10 for key in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError):  # not Linux
        total = free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
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
        _check_allocator(machine, gpus),
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
    policy = machine.variables.get("OMP_WAIT_POLICY", "")
    found = f"torch and DALI get {machine.cores} cores / processes each"
    if machine.threads is not None:
        found = (
            f"torch computes with {machine.threads} (OMP_NUM_THREADS; train.threads wins over it), "
            f"DALI gets {machine.cores} cores / processes"
        )
    if policy.upper() == "ACTIVE":
        remedy = "threads that spin while they wait slow every process down: unset OMP_WAIT_POLICY"
        return warning("threads", f"{found}, OMP_WAIT_POLICY={policy}", remedy)
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


def _check_allocator(machine: Machine, gpus: int) -> Check:
    set_to = [
        f"{name}={machine.variables[name]}"
        for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
        if name in machine.variables
    ]
    if not machine.keeps_memory and not gpus:
        cost = "a training step on a CPU takes up to several times as long: use Linux with glibc"
        return missing("allocator", "it cannot be told to keep freed memory", cost)
    kept = "keeps freed memory" if machine.keeps_memory else "gives freed memory back"
    return good("allocator", ", ".join([kept, *set_to]))
