from concurrent.futures import ThreadPoolExecutor

import pytest
import torch.distributed as dist

from fastrot.distributed.rollcall import RollCall, fresh_prefix
from pipelines.errors import FastrotError


def start(store: dist.HashStore, world: int) -> list[str]:
    with ThreadPoolExecutor(world) as pool:
        return list(pool.map(lambda rank: fresh_prefix(store, rank, world, 20), range(world)))


def test_every_start_has_a_prefix_that_all_share_and_none_had() -> None:
    store = dist.HashStore()
    store.set("hello/1", "of one that died before it was answered")
    prefixes = [start(store, 3) for _ in range(4)]
    assert all(len(set(each)) == 1 for each in prefixes)
    assert len({each[0] for each in prefixes}) == 4


def test_who_does_not_start_is_named() -> None:
    with pytest.raises(FastrotError, match=r"rank 1, 2 did not start within 0\.1 s"):
        fresh_prefix(dist.HashStore(), 0, 3, 0.1)


def test_who_does_not_answer_the_roll_is_named() -> None:
    store = dist.HashStore()
    calls = [RollCall(store, rank, 3, 600) for rank in range(3)]
    for call in calls[:2]:
        call.enter()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(calls[2].missing, 1.0)
        first = calls[0].missing(1.0)
    assert len(first) == len(other.result()) == 1
    assert first[0].startswith("rank 1 (process ")
    calls[1].missing(0.0)
    assert calls[0].missing(1.0) == []


def test_each_message_is_reported_by_one_process() -> None:
    store = dist.HashStore()
    calls = [RollCall(store, rank, 3, 600) for rank in range(3)]
    assert [each.first_to_report("no store") for each in calls] == [True, False, False]
    assert calls[2].first_to_report("clip 3 is torn")


def test_an_error_is_reported_where_the_roll_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    call = RollCall(dist.HashStore(), 1, 2, 600)

    def gone(*_: object) -> int:
        raise RuntimeError("connection closed")

    monkeypatch.setattr(dist.HashStore, "add", gone)
    assert call.first_to_report("no store")
