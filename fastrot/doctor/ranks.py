"""Checks of the processes of a run together: how fast they exchange data, and which one is slow."""

import socket
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from fastrot.distributed.runtime import Runtime
from fastrot.doctor.check import Check, good, warning

GLOO_BYTES = 8 << 20
NCCL_BYTES = 128 << 20  # about the gradients of the paper's network in fp32
REPEATS = 5
_MATRIX = {"cpu": 512, "cuda": 8192}
# A process or link below this share of the median slows all others down. An assumption, not a measurement.
SLOW_RANK, SLOW_LINK = 0.8, 0.5


@dataclass(frozen=True)
class Exchange:
    """How fast the processes exchange data over one backend.

    Attributes:
        backend: NCCL (between GPUs) or gloo (between hosts).
        bytes_per_s: Bus bandwidth of an all-reduce, as NVIDIA's nccl-tests define it: 2 (n - 1) / n times the
            bytes of each of n processes, divided by the time of the slowest process.
        latency_s: Seconds of an all-reduce of 8 bytes.
        links: Bytes per second from each rank to the next one; from the last one to rank 0.
        right: Whether the sum was right in every process.
    """

    backend: str
    bytes_per_s: float
    latency_s: float
    links: Sequence[float]
    right: bool


@dataclass(frozen=True)
class Ranks:
    """The processes of a run.

    Attributes:
        hosts: The machine of each rank.
        flops: Operations per second of a matrix product on each rank's device, all at the same time.
        exchanges: The backends.
    """

    hosts: Sequence[str]
    flops: Sequence[float]
    exchanges: Sequence[Exchange]


def measure_ranks(runtime: Runtime) -> Ranks:
    """Measure the processes of ``runtime``, all of which must call this function."""
    hosts = [name.decode() for name in runtime.all_bytes(socket.gethostname().encode())]
    flops = _gathered(runtime, _own_flops(runtime))
    exchanges = [_measure(runtime, "gloo", runtime.control, torch.device("cpu"), GLOO_BYTES)]
    if runtime.device.type == "cuda":
        exchanges.append(_measure(runtime, "NCCL", None, runtime.device, NCCL_BYTES))
    return Ranks(hosts, flops, exchanges)


def _gathered(runtime: Runtime, value: float) -> list[float]:
    row = torch.tensor(value, dtype=torch.float64, device=runtime.device)
    values: list[float] = runtime.all_rows(row).tolist()
    return values


def _own_flops(runtime: Runtime) -> float:
    size = _MATRIX[runtime.device.type]
    dtype = torch.bfloat16 if runtime.precision == "bf16" else torch.float32
    matrix = torch.ones(size, size, dtype=dtype, device=runtime.device)
    seconds = _median_seconds(runtime, lambda: torch.mm(matrix, matrix))
    return 2 * size**3 / seconds


def _median_seconds(runtime: Runtime, action: Callable[[], object]) -> float:
    """Return the median time of ``action``, which all processes start together."""
    action()  # connects, and chooses kernels
    times = []
    for _ in range(REPEATS):
        runtime.wait()
        dist.barrier(group=runtime.control)
        began = time.perf_counter()
        action()
        runtime.wait()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _measure(
    runtime: Runtime,
    backend: str,
    group: dist.ProcessGroup | None,
    device: torch.device,
    size: int,
) -> Exchange:
    world = runtime.world
    ones = torch.ones(size // 4, device=device)
    total = ones.clone()
    dist.all_reduce(total, group=group)
    right = bool((total == world).all())
    total.zero_()  # repeated sums would grow
    seconds = _median_seconds(runtime, lambda: dist.all_reduce(total, group=group))
    word = torch.zeros(1, dtype=torch.int64, device=device)
    latency = _median_seconds(runtime, lambda: dist.all_reduce(word, group=group))
    ring = range(world) if world > 1 else ()
    links = [_link_seconds(runtime, group, ones, first) for first in ring]
    return Exchange(
        backend,
        2 * (world - 1) / world * size / max(_gathered(runtime, seconds)),
        max(_gathered(runtime, latency)),
        [size / seconds for seconds in links],
        all(_gathered(runtime, float(right))),
    )


def _link_seconds(
    runtime: Runtime, group: dist.ProcessGroup | None, data: Tensor, first: int
) -> float:
    """Return the seconds in which rank ``first`` sends ``data`` to the next one, which measures them."""
    second = (first + 1) % runtime.world

    def send() -> None:
        if runtime.rank == first:
            dist.send(data, second, group=group)
        elif runtime.rank == second:
            dist.recv(data, first, group=group)

    seconds = _median_seconds(runtime, send)
    return _gathered(runtime, seconds)[second]


def check_ranks(ranks: Ranks) -> list[Check]:
    """Check the processes, and name the slowest one and the slowest link."""
    machines = Counter(ranks.hosts)
    text = ", ".join(f"{host} ({count})" for host, count in machines.items())
    return [
        good("ranks", f"{len(ranks.hosts)} on {len(machines)} machine(s): {text}"),
        _check_speed(ranks),
        *(_check_exchange(each, ranks.hosts) for each in ranks.exchanges),
    ]


def _check_speed(ranks: Ranks) -> Check:
    slowest = min(range(len(ranks.flops)), key=ranks.flops.__getitem__)
    share = ranks.flops[slowest] / statistics.median(ranks.flops)
    text = (
        f"slowest is rank {slowest} ({ranks.hosts[slowest]}): {100 * share:.0f} % of the median in a matrix "
        "product"
    )
    if share < SLOW_RANK:
        remedy = "every step waits for it: look for other programs, throttling or fewer cores there"
        return warning("slowest rank", text, remedy)
    return good("slowest rank", text)


def _check_exchange(found: Exchange, hosts: Sequence[str]) -> Check:
    name, links = found.backend, found.links
    ends = [(first, (first + 1) % len(hosts)) for first in range(len(hosts))]
    # Links within a machine and between machines differ by nature: each is compared with its own kind.
    within = [hosts[first] == hosts[second] for first, second in ends]
    shares = [
        rate / statistics.median_high(r for r, w in zip(links, within, strict=True) if w == kind)
        for rate, kind in zip(links, within, strict=True)
    ]
    slowest = min(range(len(links)), key=links.__getitem__)
    if min(shares) < SLOW_LINK:
        slowest = shares.index(min(shares))
    first, second = ends[slowest]
    text = (
        f"all-reduce {found.bytes_per_s / 1e9:.2f} GB/s, {1e3 * found.latency_s:.2f} ms for 8 bytes; slowest "
        f"link rank {first} ({hosts[first]}) to rank {second} ({hosts[second]}): "
        f"{links[slowest] / 1e9:.2f} GB/s"
    )
    if not found.right:
        remedy = "the sum of an all-reduce was wrong: do not train, and test the network cards and the memory"
        return warning(name, text, remedy, stops=True)
    if min(shares) < SLOW_LINK:
        variable = f"{name.upper()}_SOCKET_IFNAME"
        remedy = (
            f"this link has {100 * min(shares):.0f} % of the median of its kind: check its cable and "
            f"{variable} (docs/guides/hangs.md)"
        )
        return warning(name, text, remedy)
    return good(name, text)
