"""Pixels, against PyAV's own decoding of the same frames."""

import gc
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.errors import FastrotError
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions
from pipelines.loading.sources import _runs
from pipelines.plan import ClipSpec, EvalPlan, TrainPlan, frame_numbers
from pipelines.prepare.transcode import even_indices
from pipelines.shares import ALONE, train_ranges
from pipelines.shares import eval_ranges as ranges_for_test
from pipelines.store.reading import Store
from pipelines.store.shard_files import ShardFiles
from pipelines.store.shard_writing import offsets_path
from tests.helpers import decode_with_pyav

CPU = torch.device("cpu")


def expected_clips(store, videos, clips, spec):
    """Cut the planned clips out of PyAV's frames, in numpy: (B, T', crop, crop, 3) int16."""
    numbers = frame_numbers(clips, spec, store.frames)
    rows = []
    for row in range(len(clips)):
        frames = decode_with_pyav(videos / store.name(int(clips.video[row])), store.size)
        frames = frames[even_indices(len(frames), store.settings.frames)]
        y, x = clips.y[row], clips.x[row]
        clip = frames[numbers[row], y : y + spec.crop, x : x + spec.crop]
        rows.append(clip[:, :, ::-1] if clips.flip[row] else clip)
    return np.stack(rows).astype(np.int16)


def load_training(store, spec, *, steps=4, batch=6, seed=5, **options):
    plan = TrainPlan(store, store.select("all"), spec, seed=seed)
    ranges = train_ranges(batch=batch, start_step=0, steps=steps)
    with Loader(
        store, plan, ranges, batch=batch, device=CPU, options=LoaderOptions(**options)
    ) as loader:
        batches = list(loader)
    return plan, batches


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("frames", [None, 16])
def test_raw_rgb_is_exactly_what_pyav_decodes(make_store, videos, stride, frames):
    store = make_store("raw", frames=frames)
    spec = ClipSpec(frames=5, stride=stride, crop=31)
    plan, batches = load_training(store, spec)
    assert len(batches) == 4
    for i, batch in enumerate(batches):
        clips = plan.clips(6 * i, 6)
        assert batch.clips.shape == (6, 5, 31, 31, 3)
        assert batch.clips.dtype == torch.uint8
        np.testing.assert_array_equal(batch.clips, expected_clips(store, videos, clips, spec))
        np.testing.assert_array_equal(batch.videos, clips.video)
        np.testing.assert_array_equal(batch.samples, clips.sample)
        np.testing.assert_array_equal(batch.labels, store.labels[clips.video])


def test_raw_dif_is_exactly_the_difference(make_store, videos):
    store = make_store("raw")
    spec = ClipSpec(frames=5, stride=2, crop=31, modality="dif")
    plan, batches = load_training(store, spec)
    for i, batch in enumerate(batches):
        frames = expected_clips(store, videos, plan.clips(6 * i, 6), spec)
        assert batch.clips.shape == (6, 5, 31, 31, 3)
        assert batch.clips.dtype == torch.int16
        np.testing.assert_array_equal(batch.clips, frames[:, 1:] - frames[:, :-1])
    assert min(int(batch.clips.min()) for batch in batches) < 0  # signed: uint8 would have wrapped


@pytest.mark.parametrize("stride", [1, 3])
def test_mjpeg_rgb_is_within_two_grey_levels_of_pyav(make_store, videos, stride):
    store = make_store("mjpeg")
    spec = ClipSpec(frames=5, stride=stride, crop=31)
    plan, batches = load_training(store, spec)
    for i, batch in enumerate(batches):
        expected = expected_clips(store, videos, plan.clips(6 * i, 6), spec)
        error = np.abs(batch.clips.numpy().astype(int) - expected)
        assert error.mean() < 2
        # a crop that is off by one pixel, or a flip that is missing, would show here
        shifted = np.abs(batch.clips.numpy()[:, :, :, 1:].astype(int) - expected[:, :, :, :-1])
        assert shifted.mean() > 1.5 * error.mean()


def test_mjpeg_crops_land_on_the_planned_pixel(make_store, videos):
    """Crop positions go to DALI as fractions: every one of them must come back as its pixel."""
    store = make_store("mjpeg")
    spec = ClipSpec(frames=1, crop=15)
    _, full = load_training(store, ClipSpec(frames=1, crop=40), batch=1, steps=1)
    margin = 40 - 15

    class EveryCorner:
        def __init__(self, whole):
            self.spec = spec
            self.plan = whole

        def clips(self, first, count):
            one = self.plan.clips(0, 1)
            corner = np.arange(first, first + count, dtype=np.int64)
            same = {
                name: np.repeat(getattr(one, name), count)
                for name in ("video", "start", "flip", "speed")
            }
            side = np.full(count, 15)
            places = {"y": corner, "x": margin - corner, "height": side, "width": side}
            return type(one)(sample=corner, **places, **same)

    plan = TrainPlan(store, store.select("all"), ClipSpec(frames=1, crop=40), seed=5)
    with Loader(
        store, EveryCorner(plan), [(0, margin + 1)], batch=margin + 1, device=CPU
    ) as loader:
        (batch,) = loader
    whole = full[0].clips[0, 0].numpy().astype(int)
    if plan.clips(0, 1).flip[0]:
        whole = whole[:, ::-1]
    for y in range(margin + 1):
        x = margin - y
        got = batch.clips[y, 0].numpy().astype(int)
        if plan.clips(0, 1).flip[0]:
            got = got[:, ::-1]
        assert np.abs(got - whole[y : y + 15, x : x + 15]).mean() < 1


def test_mjpeg_dif_is_exactly_the_difference_of_its_decoded_frames(make_store):
    store = make_store("mjpeg")
    _, difs = load_training(store, ClipSpec(frames=4, crop=31, modality="dif"), seed=9)
    _, rgbs = load_training(store, ClipSpec(frames=5, crop=31), seed=9)
    for dif, rgb in zip(difs, rgbs, strict=True):
        frames = rgb.clips.numpy().astype(np.int16)
        np.testing.assert_array_equal(dif.clips, frames[:, 1:] - frames[:, :-1])


@pytest.mark.parametrize("codec", ["raw", "mjpeg"])
@pytest.mark.parametrize("modality", ["rgb", "dif"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_clip_of_a_short_video_turns_back(make_store, videos, codec, modality, stride):
    store = make_store(codec)  # its shortest video has 12 frames
    spec = ClipSpec(frames=20, stride=stride, crop=31, modality=modality)
    plan = EvalPlan(store, store.select("all"), spec, clips_per_video=1)
    ranges = ranges_for_test(total=len(plan), batch=4, share=ALONE)
    with Loader(store, plan, ranges, batch=4, device=CPU) as loader:
        batches = list(loader)
    assert [len(batch.labels) for batch in batches] == [4, 2]
    expected = expected_clips(store, videos, plan.clips(0, 6), spec)
    if modality == "dif":
        expected = expected[:, 1:] - expected[:, :-1]
    got = np.concatenate([batch.clips for batch in batches]).astype(int)
    assert got.shape == (6, 20, 31, 31, 3)
    lossy = 2 if modality == "rgb" else 2 * np.sqrt(2)  # a difference has the errors of two
    assert np.abs(got - expected).mean() <= (0 if codec == "raw" else lossy)


@pytest.mark.parametrize("codec", ["raw", "mjpeg"])
def test_batches_stay_valid_while_held_and_buffers_are_not_mixed_up(make_store, codec):
    """40 batches through few buffers, all held until the end, equal those of one-batch loaders."""
    store = make_store(codec)
    spec = ClipSpec(frames=3, crop=31)
    plan, held = load_training(store, spec, steps=40, batch=4, prefetch=1, threads=3)
    for i in (0, 1, 7, 38, 39):
        with Loader(store, plan, [(4 * i, 4)], batch=4, device=CPU) as loader:
            (alone,) = loader
        np.testing.assert_array_equal(held[i].clips, alone.clips)


def test_the_clip_is_channels_last_3d_once_permuted(make_store):
    store = make_store("raw")
    _, (batch, *_) = load_training(store, ClipSpec(frames=4, crop=31), steps=1)
    permuted = batch.clips.permute(0, 4, 1, 2, 3)
    assert permuted.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize(("codec", "collections"), [("raw", 0), ("mjpeg", 1)])
def test_garbage_is_collected_only_where_dali_had_a_pipeline(
    make_store, monkeypatch, codec, collections
):
    store = make_store(codec)
    plan = EvalPlan(store, store.select("test1"), ClipSpec(frames=2, crop=31), clips_per_video=1)
    called = []
    with Loader(store, plan, [(0, 2)], batch=2, device=CPU) as loader:
        list(loader)
        monkeypatch.setattr(gc, "collect", lambda: called.append(1))
    assert len(called) == collections


@pytest.mark.parametrize("codec", ["raw", "mjpeg"])
def test_a_truncated_shard_names_the_shard_and_the_video(make_store, tmp_path, codec):
    shutil.copytree(make_store(codec).path, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    last = int(np.argmax(store.offset))
    with store.shard_path(last).open("r+b") as file:
        file.truncate(int(store.offset[last]) + 10)
    plan = EvalPlan(store, np.array([last]), ClipSpec(frames=4, crop=31), clips_per_video=1)
    with (
        Loader(store, plan, [(0, 1)], batch=1, device=CPU) as loader,
        pytest.raises(FastrotError, match=rf"00000\.\w+ is truncated: .*'{store.name(last)}'"),
    ):
        next(loader)


def test_runs_of_consecutive_frames():
    assert _runs(np.array([4, 5, 6])) == [(0, 3)]
    assert _runs(np.array([4, 6, 8])) == [(0, 1), (1, 2), (2, 3)]
    assert _runs(np.array([10, 11, 0, 1, 2])) == [(0, 2), (2, 5)]


def test_open_files_are_bounded_and_closed(tmp_path):
    files = ShardFiles(most=3)
    before = len(list(Path("/proc/self/fd").iterdir()))
    into = np.empty(1, dtype=np.uint8)
    for number, _ in itertools.product(range(10), range(2)):
        path = tmp_path / str(number)
        path.write_bytes(bytes([number]))
        files.read_into(path, into, 0, "video")
        assert into[0] == number
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 3
    del files
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


@pytest.mark.parametrize("codec", ["raw", "mjpeg"])
def test_statistics_count_what_was_delivered(make_store, codec):
    store = make_store(codec)
    spec = ClipSpec(frames=4, stride=1, crop=31)
    plan = EvalPlan(store, store.select("all"), spec, clips_per_video=2)
    ranges = list(ranges_for_test(total=12, batch=5, share=ALONE))
    with Loader(store, plan, ranges, batch=5, device=CPU) as loader:
        assert loader.stats.clips_per_s == 0
        list(loader)
        stats = loader.stats
    assert (stats.batches, stats.clips) == (3, 12)
    assert 0 < stats.waited_s <= stats.seconds
    assert stats.clips_per_s == pytest.approx(12 / stats.seconds)
    assert 0 <= stats.queue_depth <= 3
    if codec == "raw":
        assert stats.bytes_read == 12 * 4 * 40 * 40 * 3
    else:  # the packets of twelve clips of four frames each, by the offsets on disk
        starts = np.append(np.fromfile(offsets_path(store.shard_path(0)), "<u8"), store.bytes.sum())
        clips = plan.clips(0, 12)
        first = store.index[clips.video] + clips.start
        assert stats.bytes_read == (starts[first + 4] - starts[first]).sum()


def damaged_copy(make_store, tmp_path, codec, size, video, damage):
    shutil.copytree(make_store(codec, size=size).path, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    with store.shard_path(video).open("r+b") as file:
        file.seek(int(store.offset[video]))
        data = bytearray(file.read(int(store.bytes[video])))
        damage(data)
        file.seek(int(store.offset[video]))
        file.write(data)
    return store


def zero_everything(data):
    data[:] = bytes(len(data))


def cut_every_picture_short(data):
    """Leave each JPEG its first bytes only, so that it has no picture."""
    keep = data.startswith(b"\xff\xd8")
    assert keep
    at = 0
    while (at := data.find(b"\xff\xd8", at)) >= 0:
        end = data.find(b"\xff\xd9", at)
        data[at + 4 : end] = bytes(end - at - 4)
        at = end


@pytest.mark.parametrize(
    ("codec", "size", "damage"),
    [
        ("mjpeg", 40, zero_everything),
        ("mjpeg", 40, cut_every_picture_short),
        ("h264", 64, zero_everything),
        ("vp9", 128, zero_everything),
    ],
)
def test_a_damaged_video_is_named_with_the_remedy(make_store, tmp_path, codec, size, damage):
    store = damaged_copy(make_store, tmp_path, codec, size, 2, damage)
    plan = EvalPlan(store, store.select("all"), ClipSpec(frames=4, crop=31), clips_per_video=1)
    with (
        Loader(store, plan, [(0, 6)], batch=6, device=CPU) as loader,
        pytest.raises(FastrotError, match=rf"{store.name(2)}.*is damaged.*store verify .* --fix"),
    ):
        next(loader)
