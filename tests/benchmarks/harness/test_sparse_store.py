import numpy as np
import torch

from benchmarks.harness.sparse_store import make_sparse_store
from pipelines.loading.loader import Loader
from pipelines.plan import ClipSpec, TrainPlan
from pipelines.store.reading import Store
from pipelines.store.shard_writing import NPY_HEADER_BYTES


def test_a_sparse_store_opens_and_loads_and_costs_no_disk(tmp_path):
    path = make_sparse_store(tmp_path / "store", videos=2000, frames=160, size=136, per_shard=112)
    store = Store.open(path)
    assert len(store) == 2000
    assert len(store.shards) == 18
    assert np.unique(store.frames).tolist() == [160]
    names = [store.name(i) for i in range(2000)]
    assert names == sorted(names)
    plan = TrainPlan(store, store.select("train"), ClipSpec(), seed=0)
    with Loader(store, plan, [(0, 4)], batch=4, device=torch.device("cpu")) as loader:
        assert not next(loader).clips.any()
    shards = list(path.glob("shards/*"))
    apparent = sum(file.stat().st_size for file in shards)
    assert apparent == 18 * NPY_HEADER_BYTES + 2000 * 160 * 136 * 136 * 3
    assert sum(file.stat().st_blocks * 512 for file in shards) < apparent / 1000
