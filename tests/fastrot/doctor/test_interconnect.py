"""Shared memory, locked memory, NVLink and InfiniBand, from what the kernel and ``nvidia-smi`` write."""

import resource
import subprocess
from types import SimpleNamespace

import pytest

from fastrot.doctor.interconnect import GIB, Interconnect, check_interconnect, find_interconnect

# Of NVIDIA's documentation of nvidia-smi, shortened to three GPUs and a network card.
TOPOLOGY = """\t\x1b[4mGPU0\tGPU1\tGPU2\tNIC0\tCPU Affinity\tNUMA Affinity\x1b[0m
GPU0\t X \tNV18\tSYS\tPXB\t0-55\t0
GPU1\tNV18\t X \tSYS\tSYS\t0-55\t0
GPU2\tSYS\tSYS\t X \tSYS\t56-111\t1
NIC0\tPXB\tSYS\tSYS\t X \t\t

Legend:
  X    = Self
"""


def port(root, name, state):
    folder = root / "sys/class/infiniband" / name / "ports/1"
    folder.mkdir(parents=True)
    (folder / "state").write_text(f"{state}\n")
    (folder / "rate").write_text("400 Gb/sec (4X NDR)\n")


def test_ports_are_read_with_their_state(tmp_path):
    port(tmp_path, "mlx5_0", "4: ACTIVE")
    port(tmp_path, "mlx5_1", "1: DOWN")
    found = find_interconnect(tmp_path, lambda *_, **__: SimpleNamespace(stdout=""))
    assert found.ports == {"mlx5_0/1": "400 Gb/sec (4X NDR)"}
    assert found.down == ("mlx5_1/1",)
    assert found.shared is None


def test_pairs_of_gpus_are_counted_by_their_connection(tmp_path):
    found = find_interconnect(tmp_path, lambda *_, **__: SimpleNamespace(stdout=TOPOLOGY))
    assert found.gpu_links == {"NV18": 1, "SYS": 2}

    def fail(*_, **__):
        raise subprocess.CalledProcessError(1, "nvidia-smi")

    assert find_interconnect(tmp_path, fail).gpu_links == {}


def test_this_machines_limits_are_read():
    found = find_interconnect()
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    assert found.memlock == (None if soft == resource.RLIM_INFINITY else soft)


def healthy(**changes):
    values = {
        "shared": 64 * GIB,
        "memlock": None,
        "gpu_links": {"NV18": 28},
        "ports": {"mlx5_0/1": "400 Gb/sec"},
    }
    return Interconnect(**{**values, **changes})


def checks_of(found, *, gpus=8, processes=8, machines=4):
    checks = check_interconnect(found, gpus=gpus, processes=processes, machines=machines)
    return {check.name: check for check in checks}


def test_a_healthy_node_is_good():
    checks = checks_of(healthy())
    assert list(checks) == ["/dev/shm", "memlock", "NVLink", "InfiniBand"]
    assert {check.status for check in checks.values()} == {"good"}
    assert checks["NVLink"].found == "28 pairs NV18"


@pytest.mark.parametrize(
    ("changes", "name", "status", "word"),
    [
        ({"shared": 64 << 20}, "/dev/shm", "warning", "--ipc=host"),
        ({"shared": None}, "/dev/shm", "warning", "--shm-size=1g"),
        ({"memlock": 65536}, "memlock", "warning", "--ulimit memlock=-1"),
        ({"gpu_links": {"NV18": 27, "SYS": 1}}, "NVLink", "missing", "slower"),
        ({"gpu_links": {}}, "NVLink", "missing", "nvidia-smi topo -m"),
        ({"ports": {}}, "InfiniBand", "missing", "Ethernet"),
        ({"ports": {}, "down": ("mlx5_0/1",)}, "InfiniBand", "warning", "ibstat"),
    ],
)
def test_each_lack_is_named(changes, name, status, word):
    checks = checks_of(healthy(**changes))
    assert {each: check.status for each, check in checks.items() if check.status != "good"} == {
        name: status
    }
    assert word in checks[name].remedy


def test_one_process_needs_none_of_it():
    alone = Interconnect(shared=64 << 20, memlock=65536)
    checks = checks_of(alone, gpus=0, processes=1, machines=1)
    assert {name: check.status for name, check in checks.items()} == {
        "/dev/shm": "good",
        "memlock": "good",
    }
