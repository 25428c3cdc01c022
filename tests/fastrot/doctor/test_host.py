"""Memory, cores and limits, from files as the kernel writes them."""

import os
import resource

import pytest

from fastrot.doctor.host import GIB, Machine, check_machine, find_machine


@pytest.fixture
def root(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1048576 kB\nMemAvailable: 524288 kB\n")
    return tmp_path


def test_memory_is_the_machines(root):
    machine = find_machine(root)
    assert (machine.memory, machine.available, machine.quota) == (GIB, GIB // 2, None)


def test_a_containers_limits_count(root):
    cgroup = root / "sys/fs/cgroup"
    (cgroup / "memory.max").write_text("734003200\n")
    (cgroup / "memory.current").write_text("634003200\n")
    (cgroup / "cpu.max").write_text("150000 100000\n")
    machine = find_machine(root)
    assert (machine.memory, machine.available) == (734003200, 100000000)
    assert machine.quota == 1.5


def test_no_limit_is_none(root):
    (root / "sys/fs/cgroup/memory.max").write_text("max\n")
    (root / "sys/fs/cgroup/cpu.max").write_text("max 100000\n")
    machine = find_machine(root)
    assert (machine.memory, machine.quota) == (GIB, None)


def test_the_users_number_of_threads_is_said(root, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    usual = check_machine(find_machine(root), gpus=0, shards=None)[2]
    assert "OMP_NUM_THREADS" not in usual.found
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    (check,) = [
        check
        for check in check_machine(find_machine(root), gpus=0, shards=None)
        if check.name == "threads"
    ]
    assert check.status == "good"
    assert check.found.startswith("torch uses 3 threads (OMP_NUM_THREADS; train.threads overrides")


def machine(**changes):
    values = {"memory": 64 * GIB, "available": 32 * GIB, "cores": 16, "open_files": (4096, 4096)}
    return Machine(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "name", "word"),
    [
        ({"available": GIB}, "memory", "train.batch"),
        ({"quota": 4.0}, "cores", "data.threads=4"),
        ({"cores": 8}, "cores", "2 cores per GPU"),
        ({"cores": 8, "present": 112}, "cores", "--cpus-per-task"),
        ({"wait_policy": "active"}, "threads", "unset OMP_WAIT_POLICY"),
        ({"open_files": (256, 4096)}, "open files", "ulimit -n 4096"),
        ({"open_files": (256, 300)}, "open files", "root"),
    ],
)
def test_each_shortage_is_warned_of_with_its_remedy(changes, name, word):
    checks = check_machine(machine(**changes), gpus=8, shards=None)
    assert {check.name: check.status for check in checks if check.status != "good"} == {
        name: "warning"
    }
    assert word in next(check.remedy for check in checks if check.name == name)


def test_all_is_well_where_there_is_enough():
    enough = machine(quota=16.0, open_files=(resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert {check.status for check in check_machine(enough, gpus=8, shards=9000)} == {"good"}


def test_usable_cores_are_shown_of_those_present(root):
    found = find_machine(root)
    (check,) = [
        check for check in check_machine(found, gpus=0, shards=None) if check.name == "cores"
    ]
    usable = len(os.sched_getaffinity(0))
    assert check.found == f"{usable} usable of {os.cpu_count()}"


def test_few_shards_need_few_files():
    checks = check_machine(machine(open_files=(300, 300)), gpus=0, shards=2)
    assert {check.status for check in checks} == {"good"}
