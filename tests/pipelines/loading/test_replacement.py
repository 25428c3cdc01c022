"""Unreadable clips in training are replaced by the plan's next, named and counted, up to a share."""

import errno
import os
import shutil

import numpy as np
import pytest
import torch

from pipelines.errors import FastrotError, UnreadableError
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions
from pipelines.loading.replacement import FIRST_CLIPS, Tolerance
from pipelines.plan import ClipSpec, TrainPlan
from pipelines.shares import Share, train_ranges
from pipelines.store.reading import Store
from tests.pipelines.store.old_formats import of_format

CPU = torch.device("cpu")


@pytest.fixture
def copy(make_store, tmp_path):
    def make(codec, size=40):
        shutil.copytree(make_store(codec, size=size).path, tmp_path / "store")
        return Store.open(tmp_path / "store")

    return make


def plan_of(store):
    return TrainPlan(store, store.select("all"), ClipSpec(frames=4, crop=31), seed=3)


def load(store, *, steps=6, rank=0, world=1, broken_share=0.01, check=True):
    ranges = train_ranges(batch=4, start_step=0, steps=steps, share=Share(rank, world))
    with Loader(
        store,
        plan_of(store),
        ranges,
        batch=4,
        device=CPU,
        options=LoaderOptions(check=check),
        tolerance=None if broken_share is None else Tolerance(broken_share),
    ) as loader:
        batches = list(loader)
        return batches, loader.take_replaced(), loader


def flip_bits(store, video, first=0, last=None):
    """Flip a bit in the middle of each of a video's frames first..last."""
    count = int(store.frames[video])
    with store.shard_path(video).open("r+b") as file:
        for frame in range(first, count if last is None else last + 1):
            file.seek(int(store.offset[video] + store.bytes[video] * (frame + 0.5) // count))
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 4]))


def truncate(store, video):
    """Cut the last video of the shard short; the frames' first bytes stay."""
    with store.shard_path(video).open("r+b") as file:
        file.truncate(int(store.offset[video]) + 10)


def zero(store, video):
    with store.shard_path(video).open("r+b") as file:
        file.seek(int(store.offset[video]))
        file.write(bytes(int(store.bytes[video])))


def expected_samples(store, total, is_broken):
    """Return the sample at each place, computed by hand: the first readable one from there on."""
    plan = plan_of(store)
    clips = plan.clips(0, total + 50)
    broken = [is_broken(int(clips.video[i]), int(clips.start[i])) for i in range(total + 50)]
    return [next(j for j in range(i, total + 50) if not broken[j]) for i in range(total)]


DAMAGE = {"flipped": flip_bits, "truncated": truncate, "zeroed": zero}


@pytest.mark.parametrize("codec", ["raw", "mjpeg"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_broken_clips_give_way_to_the_plans_next(copy, make_store, codec, damage):
    store = copy(codec)
    last = int(np.argmax(store.offset))
    DAMAGE[damage](store, last)
    batches, replaced, _ = load(store)
    assert [len(batch.clips) for batch in batches] == [4] * 6
    wanted = expected_samples(store, 24, lambda video, _: video == last)
    assert np.concatenate([batch.samples for batch in batches]).tolist() == wanted
    # The pixels are those of the replacements in an intact store.
    plan = plan_of(store)
    singles = [(int(sample), 1) for batch in batches[:2] for sample in batch.samples]
    with Loader(make_store(codec), plan, singles, batch=1, device=CPU) as whole:
        for clip in torch.cat([batch.clips for batch in batches[:2]]):
            torch.testing.assert_close(clip, next(whole).clips[0], rtol=0, atol=0)
    planned = [i for i in range(24) if wanted[i] != i]
    assert [each.sample for each in replaced] == planned
    assert [each.by for each in replaced] == [wanted[i] for i in planned]
    assert {each.video for each in replaced} == {store.name(last)}
    assert all(store.name(last) in each.reason for each in replaced)


@pytest.mark.parametrize("codec", ["raw", "mjpeg"])
def test_what_is_replaced_depends_on_the_clip_alone(copy, codec):
    """Only frames 3 to 5 of a video are damaged: clips of its other frames stay, whoever read before."""
    store = copy(codec)
    flip_bits(store, 1, 3, 5)

    def is_broken(video, start):
        return video == 1 and not (start + 3 < 3 or start > 5)

    whole, replaced, _ = load(store, steps=12)
    samples = np.concatenate([batch.samples for batch in whole])
    assert samples.tolist() == expected_samples(store, 48, is_broken)
    assert 0 < len(replaced) < sum(plan_of(store).clips(0, 48).video == 1)
    # Two ranks, and a run begun in the middle, find the same.
    ranks = [load(store, steps=12, rank=rank, world=2)[0] for rank in (0, 1)]
    assert [len(batches) for batches in ranks] == [12, 12]
    both = [b.samples for pair in zip(*ranks, strict=True) for b in pair]
    assert np.concatenate(both).tolist() == samples.tolist()


def test_dali_is_rebuilt_after_what_it_cannot_decode(copy):
    """Without checksums only the decoder notices: its pipeline is invalid and is rebuilt."""
    store = copy("mjpeg")
    video = 2
    with store.shard_path(video).open("r+b") as file:
        file.seek(int(store.offset[video]))
        data = bytearray(file.read(int(store.bytes[video])))
        at = 0
        while (at := data.find(b"\xff\xd8", at)) >= 0:  # a start, an end, and no picture
            end = data.find(b"\xff\xd9", at)
            data[at + 4 : end] = bytes(end - at - 4)
            at = end
        file.seek(int(store.offset[video]))
        file.write(data)
    batches, replaced, loader = load(store, check=False)
    assert loader.rebuilds >= 1
    assert np.concatenate([b.samples for b in batches]).tolist() == expected_samples(
        store, 24, lambda v, _: v == video
    )
    assert {each.reason.split("damaged: ")[1].split(" (")[0] for each in replaced} == {
        "DALI cannot decode it"
    }
    assert loader.stats.batches == 6


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_videos_without_an_index_are_checked_as_a_whole(copy, codec):
    store = of_format(copy(codec, 128), 2)
    flip_bits(store, 4, 0, 0)
    _, replaced, _ = load(store, steps=3)
    assert {each.video for each in replaced} == {store.name(4)}
    assert len(replaced) == sum(plan_of(store).clips(0, 12).video == 4)
    zero(store, 4)
    batches, again, _ = load(store, steps=3, check=False)
    assert [each.sample for each in again] == [each.sample for each in replaced]
    assert [len(batch.clips) for batch in batches] == [4] * 3


def test_a_shard_deleted_or_replaced_under_a_loader_loses_nothing(copy, make_store):
    store = copy("mjpeg")
    ranges = [(4 * step, 4) for step in range(40)]
    with Loader(
        store, plan_of(store), ranges, batch=4, device=CPU, tolerance=Tolerance(0.01)
    ) as loader:
        first = next(loader)
        store.shard_path(0).unlink()  # the open file stays readable
        rest = list(loader)
        assert len(rest) == 39
        assert loader.take_replaced() == []
    assert len(first.clips) == 4
    with pytest.raises(FastrotError, match=r"clips cannot be read.*No such file"):
        load(store)
    store.path.rename(store.path.with_name("unmounted"))  # the clips may be intact: the run stops
    with pytest.raises(UnreadableError, match=r"00000\.mjpeg.* cannot be read.*No such file"):
        load(store, broken_share=1.0)


@pytest.mark.parametrize(("error", "replaces"), [(errno.EIO, True), (errno.EMFILE, False)])
def test_only_lost_bytes_are_replaced(copy, monkeypatch, error, replaces):
    """A bad place of the disk is damage; too many open files is another program's doing."""
    store = copy("raw")
    read = os.preadv
    video = int(np.argmax(store.offset))  # beyond every offset in the file of checksums
    bad = int(store.offset[video])

    def preadv(descriptor, buffers, offset):
        if offset >= bad:
            raise OSError(error, os.strerror(error))
        return read(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", preadv)
    if replaces:
        _, replaced, _ = load(store)
        assert {each.video for each in replaced} == {store.name(video)}
    else:
        with pytest.raises(UnreadableError, match=r"Too many open files: raise `ulimit -n`"):
            load(store, broken_share=1.0)


def test_too_many_stop_the_loader_and_a_single_one_without_tolerance(copy):
    store = copy("raw")
    for video in range(6):
        flip_bits(store, video)
    with pytest.raises(
        FastrotError, match=r"11 clips cannot be read, more than data\.broken_share"
    ):
        load(store)
    with pytest.raises(FastrotError, match=r"more than data\.broken_share=0 of"):
        load(store, broken_share=0.0)
    with pytest.raises(FastrotError, match="does not match its checksum"):
        load(store, broken_share=None)


def test_the_share_is_of_what_was_delivered_and_of_a_thousand_at_least():
    tolerance = Tolerance(0.01)
    for sample in range(10):
        tolerance.note(sample, "broken")
    tolerance.note(0, "read again after a rebuild: still the same clip")
    with pytest.raises(FastrotError, match="11 clips cannot be read"):
        tolerance.note(10, "broken")
    tolerance.delivered = 2 * FIRST_CLIPS
    tolerance.note(11, "broken")


def test_a_store_of_the_older_format_has_no_frame_checksums(copy, videos):
    store = copy("mjpeg")
    old = of_format(store, 1)
    batches, replaced, _ = load(old)
    assert (len(batches), replaced) == (6, [])


def test_a_batch_has_the_speeds_of_its_clips_and_a_replacement_brings_its_own(copy):
    store = copy("raw")
    broken = int(np.argmax(store.offset))
    zero(store, broken)
    plan = TrainPlan(
        store, store.select("all"), ClipSpec(frames=4, crop=31, speeds=(1, 2, 3)), seed=3
    )
    loader = Loader(store, plan, [(0, 24)], batch=24, device=CPU, tolerance=Tolerance(0.1))
    with loader:
        batch = next(loader)
        replaced = loader.take_replaced()
    planned = plan.clips(0, 40)
    assert [each.sample for each in replaced] == [
        i for i in range(24) if planned.video[i] == broken
    ]
    assert batch.speeds.tolist() == planned.speed[batch.samples].tolist()
    assert any(planned.speed[each.sample] != planned.speed[each.by] for each in replaced)
