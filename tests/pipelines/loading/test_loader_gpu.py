"""The loader on a GPU gives what it gives on a CPU, codec by codec."""

import numpy as np
import pytest
import torch

from pipelines.loading.appearance import change_in_place, changed
from pipelines.loading.dali_graph import build_pipeline, fed_arrays
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions
from pipelines.loading.regions import RegionLaw, RegionPlan
from pipelines.loading.video_sources import VideoFiles
from pipelines.plan import ClipSpec, EvalPlan, TrainPlan, frame_numbers
from pipelines.store.shard_files import ShardFiles

pytestmark = pytest.mark.gpu


def load(store, plan, device):
    with Loader(store, plan, [(0, 6)], batch=6, device=torch.device(device)) as loader:
        batch = next(loader)
        assert batch.clips.device.type == batch.labels.device.type == device
        return batch.clips.cpu().numpy().astype(int)


@pytest.mark.parametrize("modality", ["rgb", "dif"])
@pytest.mark.parametrize(
    ("codec", "most"), [("raw", 0), ("mjpeg", 1.0), ("vp9", 2.0), ("h264", 2.0)]
)
@pytest.mark.parametrize("frames", [6, 20])  # the shortest video has 12: its clips turn back
def test_gpu_clips_are_those_of_the_cpu(make_store, codec, most, modality, frames):
    store = make_store(codec, size=128)
    spec = ClipSpec(frames=frames, stride=2, crop=101, modality=modality)

    plan = TrainPlan(store, store.select("all"), spec, seed=1)
    difference = np.abs(load(store, plan, "cuda") - load(store, plan, "cpu"))
    assert difference.mean() <= most


@pytest.mark.parametrize("modality", ["rgb", "dif"])
@pytest.mark.parametrize(
    ("codec", "most"), [("raw", 0.5), ("mjpeg", 1.5), ("vp9", 2.5), ("h264", 2.5)]
)
def test_gpu_regions_are_those_of_the_cpu(make_store, codec, most, modality):
    store = make_store(codec, size=128)
    spec = ClipSpec(frames=6, crop=101, modality=modality)
    plain = TrainPlan(store, store.select("all"), spec, seed=1)
    plan = RegionPlan(plain, store, RegionLaw((0.4, 1), (0.75, 1.333)), seed=1)
    difference = np.abs(load(store, plan, "cuda") - load(store, plan, "cpu"))
    assert difference.mean() <= most
    if codec == "raw":
        assert difference.max() <= (2 if modality == "rgb" else 4)


def test_colours_on_a_gpu_are_those_on_a_cpu():
    clips = torch.randint(-255, 256, (5, 3, 16, 16, 3), dtype=torch.int16)
    grey = np.array([True, False, True, False, True])
    factor = np.array([0.6, 1.7, 1, 1, -1.3], dtype=np.float32)
    on_gpu = changed(clips.cuda(), grey, factor).cpu()
    change_in_place(clips, grey, factor)
    assert (on_gpu - clips).abs().max() <= 1


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


@pytest.mark.parametrize("codec", ["h264", "vp9"])
@pytest.mark.parametrize("frames", [6, 20])
def test_files_of_the_needed_packets_give_the_pixels_of_whole_files(make_store, codec, frames):
    store = make_store(codec, size=128)
    spec = ClipSpec(frames=frames, stride=2, crop=101)
    plan = TrainPlan(store, store.select("all"), spec, seed=1)
    clips = plan.clips(0, 6)
    whole = [ShardFiles().read_video(store, int(video)) for video in clips.video]
    numbers = frame_numbers(clips, spec, store.frames).astype(np.int32)
    fed = fed_arrays(clips, VideoFiles(whole, numbers), store, spec, gpu=True)
    pipeline = build_pipeline(
        lambda _: fed,
        codec,
        spec,
        batch=6,
        device=torch.device("cuda"),
        options=LoaderOptions(threads=1, prefetch=1),
    )
    (output,) = pipeline.run()
    wanted = np.array(output.as_cpu().as_tensor())
    np.testing.assert_array_equal(load(store, plan, "cuda"), wanted)


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
