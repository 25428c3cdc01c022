"""Cores are shared out over invented machines."""

import os
from pathlib import Path

import pytest

from fastrot.distributed import affinity
from fastrot.distributed.affinity import bind, gpu_cores, share, siblings

LEFT, RIGHT = frozenset(range(8)), frozenset(range(8, 16))


def test_processes_share_the_cores_near_their_gpus() -> None:
    near = [LEFT, LEFT, RIGHT, RIGHT]
    assert share(set(range(16)), near, range(16)) == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10, 11],
        [12, 13, 14, 15],
    ]
    # Only three of the right ones are the process's: the container has no more.
    assert share({*LEFT, 8, 9, 10}, [LEFT, RIGHT], range(16)) == [list(range(8)), [8, 9, 10]]


def test_where_nobody_knows_all_share_evenly() -> None:
    assert share(set(range(5)), [None, None], range(5)) == [[0, 1], [2, 3, 4]]


@pytest.mark.parametrize(
    "near",
    [
        [LEFT, RIGHT, RIGHT],  # two for the one core on the right
        [LEFT, None, None],  # the second ones may go anywhere, on the left too
        [LEFT, frozenset({0, 1, 2}), RIGHT],  # these overlap
        [frozenset({99}), frozenset({99}), frozenset({99})],  # near, but not the process's
    ],
)
def test_where_near_cores_do_not_do_all_share_evenly(near: list[frozenset[int] | None]) -> None:
    order = [0, 1, 2, 3, 4, 8]
    assert share(set(order), near, order) == [[0, 1], [2, 3], [4, 8]]


def test_fewer_cores_than_processes_are_shared_by_all() -> None:
    assert share({0, 1}, [None] * 3, [0, 1]) == [[], [], []]


def test_hardware_threads_of_a_core_stay_together(tmp_path: Path) -> None:
    for core in range(8):
        file = tmp_path / f"devices/system/cpu/cpu{core}/topology/thread_siblings_list"
        file.parent.mkdir(parents=True)
        file.write_text(f"{core % 4},{core % 4 + 4}\n")
    order = siblings(set(range(8)), tmp_path)
    assert order == [0, 4, 1, 5, 2, 6, 3, 7]
    assert share(set(range(8)), [None, None], order) == [[0, 4, 1, 5], [2, 6, 3, 7]]
    assert siblings({3, 1}, tmp_path / "nothing") == [1, 3]


def test_linux_tells_the_cores_near_a_gpu(tmp_path: Path) -> None:
    file = tmp_path / "bus/pci/devices/0000:3b:00.0/local_cpulist"
    file.parent.mkdir(parents=True)
    file.write_text("0-2,8,10-11\n")
    assert gpu_cores("0000:3b:00.0", tmp_path) == {0, 1, 2, 8, 10, 11}
    assert gpu_cores("0000:af:00.0", tmp_path) is None


class Machine:
    """Replaces the scheduler: this process's cores and its parent's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, mine: set[int], parents: set[int]):
        self.bound: list[int] | None = None
        monkeypatch.setattr(
            os, "sched_getaffinity", lambda pid: parents if pid else mine, raising=False
        )
        monkeypatch.setattr(os, "sched_setaffinity", self.set, raising=False)
        monkeypatch.setattr(affinity, "siblings", lambda cores: sorted(cores))
        monkeypatch.setattr(affinity, "_pci", lambda rank: None)

    def set(self, pid: int, cores: list[int]) -> None:
        assert pid == 0
        self.bound = cores


def test_each_process_is_bound_to_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, set(range(6)), set(range(6)))
    assert bind(1, 3) == 2
    assert machine.bound == [2, 3]


def test_a_process_alone_is_not_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, set(range(6)), set(range(6)))
    assert bind(0, 1) is None
    assert machine.bound is None


def test_who_was_bound_before_is_left_so(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, {4, 5}, set(range(6)))
    assert bind(1, 3) == 2
    assert machine.bound is None


@pytest.mark.parametrize(
    ("mine", "processes", "threads"),
    [
        (LEFT, 4, 4),  # two of them on each node
        (LEFT, 3, 5),  # two there, one here: 16 cores have room for 5 threads each
        (LEFT, 2, 8),
        (LEFT, 99, 1),
        (frozenset({0, 1}), 4, 2),  # cores of its own, and fewer than an even share
    ],
)
def test_processes_that_torchrun_bound_to_the_same_cores_share_them(
    monkeypatch: pytest.MonkeyPatch, mine: frozenset[int], processes: int, threads: int
) -> None:
    machine = Machine(monkeypatch, set(mine), set(LEFT | RIGHT))
    assert bind(0, processes) == threads
    assert machine.bound is None


def test_gpus_decide_where_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, set(range(16)), set(range(16)))
    monkeypatch.setattr(affinity, "_pci", lambda rank: f"gpu{rank}")
    monkeypatch.setattr(affinity, "gpu_cores", {"gpu0": RIGHT, "gpu1": LEFT}.get)
    assert bind(0, 2) == 8
    assert machine.bound == list(range(8, 16))
