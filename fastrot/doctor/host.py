"""Checks of memory, cores and open files, within the limits of the machine and its container."""

import os
import resource
from dataclasses import dataclass
from pathlib import Path

from fastrot.distributed.thread_count import users_threads
from fastrot.doctor.check import Check, good, warning
from pipelines.cores import cores
from pipelines.loading.options import MOST_WITH_GPU
from pipelines.store.shard_files import OPEN_FILES

GIB = 1 << 30
LEAST_MEMORY = 4 * GIB
SPARE_FILES = 256  # files that Python, torch, DALI and NCCL open in addition to shards
CORES_A_GPU = 2


@dataclass(frozen=True)
class Machine:
    """Resources and limits of the machine.

    Attributes:
        memory: Total bytes of the machine or container.
        available: Available bytes.
        cores: Number of cores this process may run on.
        present: Number of cores of the machine; 0: unknown.
        quota: CPU time of the container, in cores; None: no limit.
        open_files: The soft and the hard limit.
        threads: The user's OMP_NUM_THREADS, if set.
        wait_policy: OMP_WAIT_POLICY, if set.
    """

    memory: int
    available: int
    cores: int
    present: int = 0
    quota: float | None = None
    open_files: tuple[int, int] = (1024, 1024)
    threads: int | None = None
    wait_policy: str = ""


def find_machine(root: Path = Path("/")) -> Machine:
    """Read the kernel's files under ``root`` and the limits of the process."""
    memory, available = _memory(root)
    return Machine(
        memory=memory,
        available=available,
        cores=cores(),
        present=os.cpu_count() or 0,
        quota=_quota(root / "sys/fs/cgroup"),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE),
        threads=users_threads(os.environ),
        wait_policy=os.environ.get("OMP_WAIT_POLICY", ""),
    )


def _memory(root: Path) -> tuple[int, int]:
    """Return total and available bytes, by the smaller limit of the machine and the container."""
    lines = (root / "proc/meminfo").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    total, free = (int(fields[key].split()[0]) << 10 for key in ("MemTotal", "MemAvailable"))
    cgroup = root / "sys/fs/cgroup"
    limit, used = _number(cgroup / "memory.max"), _number(cgroup / "memory.current")
    if limit is None:
        return total, free
    return min(total, limit), min(free, limit - (used or 0))


def _number(path: Path) -> int | None:
    """Return the number in a control group's file; None if there is no file or no limit ("max")."""
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
    """Check the machine for ``gpus`` GPUs and a store with ``shards`` shards (None: unknown)."""
    return [
        _check_memory(machine),
        _check_cores(machine, gpus),
        _check_threads(machine),
        _check_files(machine, shards),
    ]


def _check_memory(machine: Machine) -> Check:
    found = f"{machine.available / GIB:.1f} of {machine.memory / GIB:.1f} GiB available"
    if machine.available < LEAST_MEMORY:
        remedy = "training may be killed: free memory, or reduce train.batch and data.prefetch"
        return warning("memory", found, remedy)
    return good("memory", found)


def _check_cores(machine: Machine, gpus: int) -> Check:
    found = f"{machine.cores} usable" + (f" of {machine.present}" if machine.present else "")
    if machine.quota is not None and machine.quota < 0.9 * machine.cores:
        remedy = (
            "threads are started for all cores and then throttled by the quota: pin the container instead "
            f"(--cpuset-cpus), or set data.threads={max(1, round(machine.quota))}"
        )
        return warning("cores", f"{found}, but a CPU quota of only {machine.quota:g}", remedy)
    if gpus and machine.cores < CORES_A_GPU * gpus:
        remedy = f"data loading needs at least {CORES_A_GPU} cores per GPU"
        if machine.present >= CORES_A_GPU * gpus:
            remedy += ": ask for them, with Slurm --cpus-per-task or --exclusive, and srun --cpu-bind=none"
        return warning("cores", f"{found} for {gpus} GPUs", remedy)
    return good("cores", found)


def _check_threads(machine: Machine) -> Check:
    found = (
        f"torch and DALI each use {machine.cores} threads / number of processes, "
        f"DALI with a GPU at most {MOST_WITH_GPU}"
    )
    if machine.threads is not None:
        found = (
            f"torch uses {machine.threads} threads (OMP_NUM_THREADS; train.threads overrides it), "
            f"DALI uses {machine.cores} / number of processes"
        )
    if machine.wait_policy.upper() == "ACTIVE":
        remedy = "threads that spin while they wait slow down every process: unset OMP_WAIT_POLICY"
        return warning("threads", f"{found}, OMP_WAIT_POLICY={machine.wait_policy}", remedy)
    return good("threads", found)


def _check_files(machine: Machine, shards: int | None) -> Check:
    soft, hard = machine.open_files
    needed = (
        SPARE_FILES + OPEN_FILES
    )  # above this number, the reader closes the least recently used ones
    if shards is not None:
        needed = SPARE_FILES + min(2 * shards, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < needed:
        top = (
            ""
            if hard == resource.RLIM_INFINITY or hard >= needed
            else ", after root has raised the limit"
        )
        return warning("open files", f"{soft}", f"run ulimit -n {max(4096, needed)}{top}")
    return good("open files", "no limit" if soft == resource.RLIM_INFINITY else f"{soft}")
