"""The loader on a GPU gives what it gives on a CPU, codec by codec."""

import numpy as np
import pytest
import torch

from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions
from pipelines.plan import ClipSpec, EvalPlan, TrainPlan

pytestmark = pytest.mark.gpu


def load(store, plan, device):
    with Loader(store, plan, [(0, 6)], batch=6, device=torch.device(device)) as loader:
        batch = next(loader)
        assert batch.clips.device.type == batch.labels.device.type == device
        return batch.clips.cpu().numpy().astype(int)


@pytest.mark.parametrize("modality", ["rgb", "dif"])
@pytest.mark.parametrize(
    ("codec", "most"), [("raw", 0), ("mjpeg", 1.0), ("vp9", 2.0), ("h264", 3.0)]
)
@pytest.mark.parametrize("frames", [6, 20])  # the shortest video has 12: its clips turn back
def test_gpu_clips_are_those_of_the_cpu(make_store, codec, most, modality, frames):
    store = make_store(codec, size=128)
    truth = make_store("raw", size=128) if codec == "h264" else store
    spec = ClipSpec(frames=frames, stride=2, crop=101, modality=modality)

    def plan(of):
        return TrainPlan(of, of.select("all"), spec, seed=1)

    difference = np.abs(load(store, plan(store), "cuda") - load(truth, plan(truth), "cpu"))
    assert difference.mean() <= most


def test_clips_stay_valid_while_held(make_store):
    store = make_store("raw", size=128)
    plan = EvalPlan(store, store.select("all"), ClipSpec(frames=4, crop=101), clips_per_video=4)
    device = torch.device("cuda")
    with Loader(store, plan, [(i, 2) for i in range(24)][:20:2], batch=2, device=device) as loader:
        held = [batch.clips for batch in loader]
    alone = [load_one(store, plan, i) for i in range(0, 20, 2)]
    for kept, expected in zip(held, alone, strict=True):
        torch.testing.assert_close(kept, expected)


def load_one(store, plan, first):
    with Loader(store, plan, [(first, 2)], batch=2, device=torch.device("cuda")) as loader:
        return next(loader).clips


@pytest.mark.parametrize("codec", ["raw", "mjpeg"])
def test_a_batch_is_not_written_over_before_its_kernels_have_run(make_store, codec):
    """The host drops every batch at once, while the GPU still sleeps before it reads the first one."""
    store = make_store(codec, size=128)
    plan = TrainPlan(store, store.select("all"), ClipSpec(frames=4, crop=101), seed=0)
    ranges = [(6 * i, 6) for i in range(12)]

    def sums(sleep):
        found = []
        device = torch.device("cuda")
        with Loader(store, plan, ranges, batch=6, device=device) as loader:
            for batch in loader:
                torch.cuda._sleep(sleep)
                found.append(batch.clips.sum(dim=(1, 2, 3, 4), dtype=torch.int64))
                del batch
        return torch.stack(found).cpu()

    assert torch.equal(sums(50_000_000), sums(0))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_hardware_decoders_share_does_not_change_what_is_seen(make_store, share):
    store = make_store("mjpeg", size=128)
    plan = EvalPlan(store, store.select("all"), ClipSpec(frames=4, crop=101), clips_per_video=1)
    device = torch.device("cuda")
    with Loader(
        store, plan, [(0, 6)], batch=6, device=device, options=LoaderOptions(hw_decoder_load=share)
    ) as loader:
        got = next(loader).clips.cpu().int()
    expected = torch.from_numpy(load(store, plan, "cpu"))
    assert (got - expected).abs().float().mean() <= 1
