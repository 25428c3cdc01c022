"""Checks of what the processes of a run exchange data over: shared memory, NVLink and InfiniBand."""

import os
import re
import resource
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastrot.doctor.check import Check, good, missing, warning

GIB = 1 << 30
# NVIDIA's containers recommend this size; Docker's default is 64 MiB.
LEAST_SHARED = GIB


@dataclass(frozen=True)
class Interconnect:
    """What this machine has for exchanging data.

    Attributes:
        shared: Bytes of /dev/shm; None if there is none.
        memlock: Soft limit of locked memory in bytes; None: no limit.
        gpu_links: Number of pairs of GPUs by the kind of their connection, in the words of ``nvidia-smi topo
            -m``: NV18 is 18 NVLinks, SYS the bus between sockets.
        ports: Rates of the active InfiniBand (or RoCE) ports by name, such as "mlx5_0/1".
        down: Names of the ports that are not active.
    """

    shared: int | None
    memlock: int | None
    gpu_links: Mapping[str, int] = field(default_factory=dict)
    ports: Mapping[str, str] = field(default_factory=dict)
    down: tuple[str, ...] = ()


def find_interconnect(
    root: Path = Path("/"), run: Callable[..., Any] = subprocess.run
) -> Interconnect:
    """Read the kernel's files under ``root``, the limits of the process, and ``nvidia-smi topo -m``."""
    try:
        status = os.statvfs(root / "dev/shm")
        shared = status.f_blocks * status.f_frsize
    except OSError:
        shared = None
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    ports, down = _ports(root / "sys/class/infiniband")
    memlock = None if soft == resource.RLIM_INFINITY else soft
    return Interconnect(shared, memlock, _gpu_links(run), ports, down)


def _ports(folder: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    active, down = {}, []
    for port in sorted(folder.glob("*/ports/*")):
        name = f"{port.parts[-3]}/{port.name}"
        try:
            if "ACTIVE" in (port / "state").read_text():
                active[name] = (port / "rate").read_text().strip()
            else:
                down.append(name)
        except OSError:
            down.append(name)
    return active, tuple(down)


def _gpu_links(run: Callable[..., Any]) -> dict[str, int]:
    """Count the pairs of GPUs by the kind of their connection; an empty dict if it is unknown."""
    try:
        answer = run(
            ["nvidia-smi", "topo", "-m"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    plain = re.sub(r"\x1b\[[0-9;]*m", "", answer.stdout)  # the header is underlined
    rows = [line.split() for line in plain.splitlines() if re.match(r"GPU\d+\s+(X|[A-Z])", line)]
    rows = [row for row in rows if "X" in row]  # the header also begins with GPU0
    pairs = Counter(kind for i, row in enumerate(rows) for kind in row[1 : len(rows) + 1][i + 1 :])
    return dict(pairs)


def check_interconnect(
    found: Interconnect, *, gpus: int, processes: int, machines: int
) -> list[Check]:
    """Check the machine for ``processes`` processes of a run on it, and ``machines`` machines in total."""
    checks = [_check_shared(found.shared, max(gpus, processes)), _check_memlock(found)]
    if gpus > 1:
        checks.append(_check_nvlink(found.gpu_links))
    if found.ports or found.down or machines > 1:
        checks.append(_check_infiniband(found))
    return checks


def _check_shared(shared: int | None, processes: int) -> Check:
    text = "none" if shared is None else f"{shared / GIB:.2f} GiB"
    if processes > 1 and (shared or 0) < LEAST_SHARED:
        remedy = (
            "NCCL exchanges data of a machine's processes there, and fails when it is full: start "
            "containers with --ipc=host or --shm-size=1g"
        )
        return warning("/dev/shm", text, remedy)
    return good("/dev/shm", text)


def _check_memlock(found: Interconnect) -> Check:
    if found.memlock is None:
        return good("memlock", "unlimited")
    text = f"at most {found.memlock >> 10} KiB"
    if found.ports:
        remedy = (
            "InfiniBand needs locked memory: ulimit -l unlimited, docker run --ulimit memlock=-1, or with "
            "Slurm PropagateResourceLimitsExcept=MEMLOCK"
        )
        return warning("memlock", text, remedy)
    return good("memlock", f"{text}, enough without InfiniBand")


def _check_nvlink(links: Mapping[str, int]) -> Check:
    if not links:
        return missing("NVLink", "unknown", "nvidia-smi topo -m must work to find it")
    text = ", ".join(f"{count} pairs {kind}" for kind, count in sorted(links.items()))
    if all(kind.startswith("NV") for kind in links):
        return good("NVLink", text)
    cost = "GPUs without NVLink exchange gradients over PCIe or the host, which is slower"
    return missing("NVLink", f"not between all GPUs: {text}", cost)


def _check_infiniband(found: Interconnect) -> Check:
    text = ", ".join(f"{name} {rate}" for name, rate in found.ports.items())
    if not found.ports and not found.down:
        cost = "machines exchange gradients over Ethernet, which is slower"
        return missing("InfiniBand", "none", cost)
    if found.down:
        text = f"{text or 'no active port'}; not active: {', '.join(found.down)}"
    if not found.ports:
        return warning("InfiniBand", text, "ask for the links: ibstat shows their state")
    return good("InfiniBand", text)
