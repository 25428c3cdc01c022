"""Judging the processes of a run together, and what other machines report."""

import json
from dataclasses import replace

import pytest
import torch.distributed as dist

from fastrot.distributed.runtime import Runtime
from fastrot.doctor import together
from fastrot.doctor.check import good, warning
from fastrot.doctor.ranks import Exchange, Ranks, check_ranks, measure_ranks
from pipelines.errors import FastrotError

HOSTS = ("a", "a", "b", "b")
FAST, BETWEEN = 300e9, 40e9


def ranks(flops=(1.0, 1.0, 1.0, 1.0), links=(FAST, BETWEEN, FAST, BETWEEN), right=True):
    return Ranks(HOSTS, flops, [Exchange("NCCL", 80e9, 2e-5, links, right)])


def checks_of(found):
    return {check.name: check for check in check_ranks(found)}


def test_healthy_ranks_are_good_although_networks_are_slower_than_nvlink():
    checks = checks_of(ranks())
    assert {check.status for check in checks.values()} == {"good"}
    assert checks["ranks"].found == "4 on 2 machine(s): a (2), b (2)"
    assert checks["NCCL"].found == (
        "all-reduce 80.00 GB/s, 0.02 ms for 8 bytes; slowest link rank 1 (a) to rank 2 (b): 40.00 GB/s"
    )


def test_the_slowest_rank_is_named():
    check = checks_of(ranks(flops=(10.0, 10.0, 6.0, 10.0)))["slowest rank"]
    assert check.status == "warning"
    assert check.found.startswith("slowest is rank 2 (b): 60 % of the median")


@pytest.mark.parametrize(
    ("links", "named"),
    [
        ((FAST, BETWEEN, FAST, 10e9), "rank 3 (b) to rank 0 (a): 10.00 GB/s"),
        # Slow for NVLink, although the network is slower still.
        ((FAST, BETWEEN, 100e9, BETWEEN), "rank 2 (b) to rank 3 (b): 100.00 GB/s"),
    ],
)
def test_a_link_is_slow_by_its_own_kind(links, named):
    check = checks_of(ranks(links=links))["NCCL"]
    assert check.status == "warning"
    assert check.found.endswith(named)
    assert "NCCL_SOCKET_IFNAME" in check.remedy


def test_a_wrong_sum_stops():
    check = checks_of(ranks(right=False))["NCCL"]
    assert check.stops
    assert "sum of an all-reduce was wrong" in check.remedy


@pytest.mark.gpu
def test_nccl_is_measured_on_a_gpu(tmp_path):
    """A process alone has no link, but NCCL sums, in a time that is measured."""
    with Runtime.start() as runtime:
        store = dist.FileStore(str(tmp_path / "store"), 1)
        dist.init_process_group("nccl", store=store, rank=0, world_size=1)
        found = measure_ranks(replace(runtime, control=dist.new_group(backend="gloo")))
    assert [each.backend for each in found.exchanges] == ["gloo", "NCCL"]
    assert all(each.right and 0 < each.latency_s < 1 for each in found.exchanges)
    assert found.flops[0] > 1e12


def test_a_start_that_fails_is_a_row(monkeypatch):
    def fail(**_):
        raise FastrotError("rank 1 did not start within 120 s")

    monkeypatch.setattr(Runtime, "start", fail)
    met = together.Meeting(dist.HashStore(), 0, 1)
    (check,) = together.check_together([], met)
    assert check.stops
    assert "rank 1 did not start" in check.found
    assert together.PAGE in check.remedy


def test_a_machine_whose_checks_do_not_end_is_named(monkeypatch):
    monkeypatch.setattr(together, "MACHINE_TIMEOUT_S", 0.0)
    (check,) = together.check_together([], together.Meeting(dist.HashStore(), 0, 3))
    assert "rank 1, 2 did not finish the checks of its machine within 0 s" in check.found


class Gathered:
    """A runtime that has gathered what three other processes reported."""

    def __init__(self, *others):
        self.others = others

    def all_bytes(self, mine):
        return [mine, *(json.dumps(each).encode() for each in self.others)]


def test_other_machines_report_what_is_not_good_there_only():
    mine = [good("memory", "much"), warning("memlock", "at most 64 KiB", "raise it")]
    theirs = [
        {"name": "memory", "status": "good", "found": "more", "remedy": "", "stops": False},
        {
            "name": "memlock",
            "status": "warning",
            "found": "at most 64 KiB",
            "remedy": "raise it",
            "stops": False,
        },
        {"name": "DALI", "status": "missing", "found": "none", "remedy": "pip", "stops": True},
    ]
    found = together._of_other_machines(mine, Gathered(["a", []], ["b", theirs], ["b", []]))
    assert [str(check) for check in found] == [
        "missing  DALI            on b: none\n         STOPS TRAINING: pip"
    ]
    assert found[0].stops
