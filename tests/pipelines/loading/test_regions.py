"""Random resized crops: their law, and their pixels against torch's own resize in double precision."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from pipelines.errors import UsageError
from pipelines.loading.cpu_ops import finish_batch, resized
from pipelines.loading.dali_graph import build_pipeline, fed_arrays, new_pipeline, resize
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions
from pipelines.loading.regions import RegionLaw, RegionPlan
from pipelines.loading.sources import make_source
from pipelines.plan import ClipSpec, TrainPlan, frame_numbers
from pipelines.prepare.transcode import even_indices
from tests.helpers import decode_with_pyav, moving_frames

CPU = torch.device("cpu")
WHOLE = RegionLaw((1, 1), (1, 1))
USUAL = RegionLaw((0.4, 1), (0.75, 1.333))


class Frames:
    """A store of 50 videos of 136 x 136 pixels, without pixels."""

    frames = np.full(50, 30, dtype=np.int32)
    size = 136


def plan_of(law, store=Frames(), crop=112, seed=3, **spec):  # noqa: B008
    videos = np.arange(len(store.frames), dtype=np.int64)
    plain = TrainPlan(store, videos, ClipSpec(crop=crop, **spec), seed=seed)
    return plain, RegionPlan(plain, store, law, seed=seed)


def load(store, plan, count=6):
    with Loader(store, plan, [(0, count)], batch=count, device=CPU) as loader:
        return next(loader).clips.numpy()


def in_double(frames, crop):
    """Resize (T, h, w, 3) uint8 frames by torch in double precision, unrounded."""
    pixels = torch.from_numpy(frames.copy()).permute(0, 3, 1, 2).double()
    small = interpolate(pixels, (crop, crop), mode="bilinear", antialias=True)
    return small.permute(0, 2, 3, 1).numpy()


def test_a_region_depends_on_its_sample_only_and_the_rest_of_the_clip_does_not_change():
    plain, regions = plan_of(USUAL)
    walked, direct, before = regions.clips(0, 90), regions.clips(70, 20), plain.clips(0, 90)
    for name, values in vars(direct).items():
        np.testing.assert_array_equal(values, getattr(walked, name)[70:])
    for name in ("sample", "video", "start", "flip"):
        np.testing.assert_array_equal(getattr(walked, name), getattr(before, name))


def test_regions_have_the_laws_area_and_aspect_and_are_inside_the_frame():
    clips = plan_of(RegionLaw((0.3, 0.6), (0.75, 4 / 3)))[1].clips(0, 20_000)
    for at, length in ((clips.y, clips.height), (clips.x, clips.width)):
        assert (at >= 0).all()
        assert (at + length <= 136).all()
        assert at.min() == 0
        assert (at + length).max() == 136
    # Sides of 60 to 120 pixels are rounded by half a pixel each.
    area, aspect = clips.height * clips.width / 136**2, clips.width / clips.height
    for values, low, high in ((area, 0.3, 0.6), (aspect, 0.75, 4 / 3)):
        assert low * 0.98 < values.min() < low * 1.02
        assert high * 0.98 < values.max() < high * 1.02
        # log-uniform: quartiles are even in logarithms
        quartiles = np.quantile(np.log(values / low) / np.log(high / low), [0.25, 0.5, 0.75])
        np.testing.assert_allclose(quartiles, [0.25, 0.5, 0.75], atol=0.02)


def test_the_law_of_height_and_width_is_symmetric_even_where_a_region_does_not_fit():
    clips = plan_of(RegionLaw((0.5, 1), (0.5, 2)))[1].clips(0, 40_000)
    assert ((clips.height == 136) | (clips.width == 136)).mean() > 0.2
    assert len(clips) == 40_000
    error = 5 / np.sqrt(len(clips))
    for one, other in ((clips.height, clips.width), (clips.y, clips.x)):
        share = [(one < other).mean(), (other < one).mean()]
        assert abs(share[0] - share[1]) < error
        limits = np.quantile(one, [0.1, 0.3, 0.5, 0.7, 0.9])
        for limit in limits:
            assert abs((one < limit).mean() - (other < limit).mean()) < error


def test_one_key_alone_keeps_the_crops_area_or_aspect():
    square = plan_of(RegionLaw(scale=(0.4, 1)))[1].clips(0, 500)
    np.testing.assert_array_equal(square.height, square.width)
    same_area = plan_of(RegionLaw(aspect=(0.9, 1 / 0.9)))[1].clips(0, 500)
    np.testing.assert_allclose(same_area.height * same_area.width / 112**2, 1, atol=0.01)


def test_a_crop_larger_than_the_frames_is_refused():
    with pytest.raises(UsageError, match=r"data\.crop is 137"):
        plan_of(USUAL, crop=137)


@pytest.mark.parametrize("modality", ["rgb", "dif"])
@pytest.mark.parametrize(("codec", "size"), [("raw", 40), ("mjpeg", 40), ("h264", 64)])
def test_a_whole_region_of_the_crops_size_changes_nothing(make_store, codec, size, modality):
    store = make_store(codec, size=size)
    plain, regions = plan_of(WHOLE, store, crop=size, frames=4, modality=modality)
    np.testing.assert_array_equal(load(store, regions), load(store, plain))


def expected(store, videos, plan, count=6):
    """Cut, resize and mirror the planned clips by PyAV and torch: (B, T', crop, crop, 3) double."""
    clips = plan.clips(0, count)
    numbers, rows = frame_numbers(clips, plan.spec, store.frames), []
    for row in range(count):
        frames = decode_with_pyav(videos / store.name(int(clips.video[row])), store.size)
        frames = frames[even_indices(len(frames), store.settings.frames)][numbers[row]]
        y, x = clips.y[row], clips.x[row]
        region = frames[:, y : y + clips.height[row], x : x + clips.width[row]]
        clip = in_double(region, plan.spec.crop)
        rows.append(clip[:, :, ::-1] if clips.flip[row] else clip)
    return np.stack(rows)


@pytest.mark.parametrize("crop", [24, 39])
def test_raw_regions_are_those_of_floating_point_within_a_grey_level(make_store, videos, crop):
    store = make_store("raw")
    rgb = plan_of(USUAL, store, crop=crop, frames=5)[1]
    wanted = expected(store, videos, rgb)
    assert np.abs(load(store, rgb) - wanted).max() <= 1 + 1e-9
    # Resized first, then subtracted.
    dif = plan_of(USUAL, store, crop=crop, frames=4, modality="dif")[1]
    np.testing.assert_array_equal(load(store, dif), np.diff(load(store, rgb).astype(int), axis=1))


@pytest.mark.parametrize(("codec", "size", "most"), [("mjpeg", 40, 2), ("h264", 64, 3)])
def test_decoded_regions_are_in_their_place(make_store, videos, codec, size, most):
    store = make_store(codec, size=size)
    plan = plan_of(USUAL, store, crop=31, frames=5)[1]
    wanted, found = expected(store, videos, plan), load(store, plan)
    error = np.abs(found - wanted).mean()
    assert error < most
    assert np.abs(found[:, :, :, 1:] - wanted[:, :, :, :-1]).mean() > 1.5 * error


REGIONS = [
    moving_frames(3, 136, 136, 1)[:, y : y + height, x : x + width].copy()
    for y, x, height, width in ((0, 0, 136, 136), (5, 9, 90, 120), (9, 5, 120, 90), (20, 1, 60, 60))
]


def test_dali_resizes_regions_as_torch_within_two_grey_levels():
    from nvidia.dali import fn

    spec = ClipSpec(frames=3, regions=True)
    with new_pipeline(4, CPU, LoaderOptions(threads=1)) as pipeline:
        fed = fn.external_source(source=lambda: REGIONS, batch=True, layout="FHWC")
        pipeline.set_outputs(resize(fed, spec))
    (output,) = pipeline.run()
    found = np.array(output.as_tensor()).astype(int)
    by_torch = np.stack([resized(region, spec.crop) for region in REGIONS])
    assert np.abs(found - by_torch).max() <= 2
    assert np.abs(found - by_torch).mean() < 0.3
    for clip, region in zip(found, REGIONS, strict=True):
        assert np.abs(clip - in_double(region, spec.crop)).max() < 2


@pytest.mark.parametrize("modality", ["rgb", "dif"])
@pytest.mark.parametrize(("codec", "size"), [("raw", 40), ("mjpeg", 40), ("h264", 64)])
def test_a_gpus_graph_is_fed_regions(make_store, codec, size, modality):
    """Without a GPU the graph is only defined, and what it is fed is compared."""
    store = make_store(codec, size=size)
    plan = plan_of(USUAL, store, crop=31, frames=4, modality=modality)[1]
    options = LoaderOptions(threads=1)
    pipeline = build_pipeline(
        lambda _: None, codec, plan.spec, batch=6, device=torch.device("cuda"), options=options
    )
    assert b"Resize" in pipeline.serialize()
    clips = plan.clips(0, 6)
    source = make_source(store, plan.spec, batch=6, buffers=2, check=True)
    data = source.buffer(6)
    for row, numbers in enumerate(frame_numbers(clips, plan.spec, store.frames)):
        source.read(data, clips, row, numbers)
    fed = fed_arrays(clips, data, store, plan.spec, gpu=True)
    shapes = np.stack([clips.height, clips.width], axis=1)
    corners = np.stack([clips.y, clips.x], axis=1)
    each = plan.spec.decoded_frames
    if codec == "raw":
        assert [region.shape for region in fed[0]] == [(each, *shape, 3) for shape in shapes]
        cut, threads = np.empty((6, each, 31, 31, 3), np.uint8), ThreadPoolExecutor(1)
        for row, region in enumerate(fed[0]):
            cut[row] = resized(region, 31)
        plain = ClipSpec(4, crop=31, modality=modality)
        finished = finish_batch(cut, clips, plain, threads)
        np.testing.assert_array_equal(finished, load(store, plan))
    elif codec == "mjpeg":
        y, x, height, width = (values[::each] for values in fed[1:5])
        np.testing.assert_array_equal(np.stack([height, width], axis=1), shapes)
        margins = (size - shapes) * np.stack([y, x], axis=1)
        np.testing.assert_array_equal(np.rint(margins), corners)
    else:
        np.testing.assert_array_equal(fed[2], corners)
        np.testing.assert_array_equal(fed[3], shapes)


def test_dali_cuts_jpegs_of_different_regions_on_the_planned_pixel(make_store):
    """The crop's size and place as a GPU is fed them, decoded by the CPU's decoder."""
    from nvidia.dali import fn

    store = make_store("mjpeg")
    _, regions = plan_of(RegionLaw((0.1, 1), (0.5, 2)), store, crop=31, frames=1)
    clips = regions.clips(0, 40)
    source = make_source(store, regions.spec, batch=40, buffers=1, check=True)
    packets = source.buffer(40)
    for row, numbers in enumerate(frame_numbers(clips, regions.spec, store.frames)):
        source.read(packets, clips, row, numbers)
    fed = fed_arrays(clips, packets, store, regions.spec, gpu=True)[:5]
    with new_pipeline(40, CPU, LoaderOptions(threads=1)) as pipeline:
        jpegs, y, x, height, width = fn.external_source(
            source=lambda: fed, num_outputs=5, batch=True
        )
        place = {"crop_pos_y": y, "crop_pos_x": x, "crop_h": height, "crop_w": width}
        pipeline.set_outputs(fn.decoders.image_crop(jpegs, **place), fn.decoders.image(jpegs))
    cut, whole = pipeline.run()
    for row in range(40):
        top, left = clips.y[row], clips.x[row]
        of_whole = np.array(whole[row])[top:, left:][: clips.height[row], : clips.width[row]]
        error = np.abs(np.array(cut[row]).astype(int) - of_whole)
        assert error.mean() < 1
