"""Small runs that take a second: few videos, few kernels, one thread."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist

from fastrot.config import Config, from_mapping
from fastrot.distributed import runtime as runtime_module
from fastrot.distributed.runtime import Runtime
from fastrot.training.run import train
from pipelines.store.reading import Store

TinyConfig = Callable[..., Config]


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch use one thread: several wait for each other where the cores are taken."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(runtime_module, "cores", lambda: 1)


@pytest.fixture
def runtime(one_thread: None) -> Iterator[Runtime]:
    """Return the runtime of a single process on the CPU or GPU."""
    with Runtime.start("fp32") as started:
        yield started


@pytest.fixture
def group() -> Iterator[None]:
    """Make a process group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def tiny_values(store: Store, out: Path) -> dict[str, Any]:
    """Return the keys of a tiny run's config."""
    return {
        "name": "tiny",
        "out": str(out),
        "data": {
            "store": str(store.path),
            "split": "train1",
            "frames": 4,
            "crop": 32,
            "prefetch": 1,
        },
        "model": {"depth": 10, "width": 4},
        "optim": {"lr": 0.05, "step_size": 4},
        "train": {"batch": 4, "iterations": 6, "log_every": 1, "checkpoint_every": 100},
    }


@pytest.fixture
def tiny_config(make_store: Callable[..., Store], tmp_path: Path, one_thread: None) -> TinyConfig:
    """Return a function that makes the config of a tiny run; keywords are sections or plain keys."""

    def make(**changes: Any) -> Config:
        values = tiny_values(make_store(), tmp_path / "runs")
        for key, value in changes.items():
            values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
        return from_mapping(values)

    return make


@pytest.fixture(scope="session")
def pretext_checkpoint(
    make_store: Callable[..., Store], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the last checkpoint of a tiny pretext run of two steps, for tests that only read it."""
    values = tiny_values(make_store(), tmp_path_factory.mktemp("runs"))
    values["train"]["iterations"] = 2
    return train(from_mapping(values), quiet=True).last
