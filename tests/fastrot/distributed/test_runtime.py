from typing import Any

import pytest
import torch

from fastrot.config.schema import Precision
from fastrot.distributed import affinity
from fastrot.distributed import runtime as runtime_module
from fastrot.distributed.runtime import Runtime
from pipelines.errors import FastrotError, UsageError


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize("asked", ["auto", "fp32"])
def test_a_cpu_computes_in_fp32(on_cpu: None, asked: Precision) -> None:
    with Runtime.start(asked) as runtime, runtime.autocast():
        assert runtime.dtype == torch.float32
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.parametrize(
    ("asked", "reason"), [("fp16", "needs a GPU"), ("bf16", r"needs a GPU.*can crash or hang")]
)
@pytest.mark.parametrize("setting", ["train.precision", "--precision"])
def test_a_cpu_refuses_half_precision(
    on_cpu: None, asked: Precision, reason: str, setting: str
) -> None:
    with pytest.raises(UsageError, match=rf"^{setting} is {asked}, which {reason}.*choose fp32"):
        Runtime.start(asked, setting=setting)


def test_processes_of_a_machine_share_its_cores(
    monkeypatch: pytest.MonkeyPatch, on_cpu: None
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(runtime_module, "cores", lambda: 6)
    monkeypatch.setattr(affinity, "bind", lambda rank, processes: None)
    before = torch.get_num_threads()
    try:
        for processes, threads in ((1, 6), (2, 3), (8, 1)):
            monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
            with Runtime.start() as runtime:
                assert runtime.threads == runtime.cores == threads == torch.get_num_threads()
                assert f"{threads} threads each (its share of the cores)" in runtime.describe()
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("asked", "threads", "chosen_by"), [(None, 3, "OMP_NUM_THREADS"), (2, 2, "train.threads")]
)
def test_torchs_threads_are_the_users_choice_and_the_loaders_are_not(
    monkeypatch: pytest.MonkeyPatch, on_cpu: None, asked: int | None, threads: int, chosen_by: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(runtime_module, "cores", lambda: 6)
    before = torch.get_num_threads()
    try:
        with Runtime.start(threads=asked) as runtime:
            assert runtime.threads == threads == torch.get_num_threads()
            assert runtime.cores == 6
            assert f"{threads} threads each ({chosen_by})" in runtime.describe()
    finally:
        torch.set_num_threads(before)


def test_a_process_with_cores_of_its_own_has_a_thread_for_each(
    monkeypatch: pytest.MonkeyPatch, on_cpu: None
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(affinity, "bind", lambda rank, processes: processes)
    monkeypatch.setattr(runtime_module, "cores", lambda: 8)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    before = torch.get_num_threads()
    try:
        for asked, threads in ((True, 3), (False, 2)):
            with Runtime.start(affinity=asked) as runtime:
                assert runtime.threads == threads == torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(FastrotError, match=r"process 2 on this machine has no GPU: .* at most 2"):
        Runtime.start()


def test_nccl_is_told_the_processs_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    for name, value in (("is_available", True), ("device_count", 2), ("is_bf16_supported", True)):
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value, **__: value)
    monkeypatch.setattr(torch.cuda, "set_device", made.append)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda *args, **named: made.append((args, named))
    )
    monkeypatch.setattr(torch.distributed, "new_group", lambda **_: None)
    store = torch.distributed.HashStore()
    monkeypatch.setattr("fastrot.distributed.runtime.rendezvous", lambda _: iter([(store, 1, 2)]))
    monkeypatch.setattr("fastrot.distributed.runtime.fresh_prefix", lambda *_: "start")
    for key in ("RANK", "LOCAL_RANK"):
        monkeypatch.setenv(key, "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    Runtime.start(affinity=False)
    gpu = torch.device("cuda", 1)
    assert made[0] == gpu
    ((backend,), named) = made[1]
    assert (backend, named["device_id"], named["rank"]) == ("nccl", gpu, 1)


def test_a_single_process_is_all_there_is(runtime: Runtime) -> None:
    network: Any = torch.nn.Linear(2, 2)
    assert runtime.is_main
    assert runtime.distribute(network) is network
    assert runtime.all_sum(torch.tensor([1, 2])).tolist() == [1, 2]
    assert runtime.all_rows(torch.tensor([1, 2])).tolist() == [[1, 2]]
    assert runtime.all_bytes(b"one") == [b"one"]
    assert runtime.all_bytes(b"") == [b""]
    assert runtime.on_main(lambda: 3) == 3


def test_convolutions_are_placed_with_channels_innermost(runtime: Runtime) -> None:
    network = torch.nn.Sequential(torch.nn.Conv3d(3, 4, 3))
    runtime.place(network)
    weight = network[0].weight
    assert weight.device.type == runtime.device.type
    assert weight.is_contiguous(memory_format=torch.channels_last_3d)
