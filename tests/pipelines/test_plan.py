from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import UsageError
from pipelines.plan import Clips, ClipSpec, EvalPlan, TrainPlan, frame_numbers
from pipelines.shares import Share, train_ranges
from pipelines.shares import eval_ranges as ranges_for_test


class FakeStore:
    def __init__(self, frames: list[int], size: int = 40):
        self.frames = np.array(frames, dtype=np.int32)
        self.size = size


def fields(clips):
    return np.stack([clips.sample, clips.video, clips.start, clips.y, clips.x, clips.flip], axis=1)


SPECS = st.builds(
    ClipSpec,
    frames=st.integers(1, 12),
    stride=st.integers(1, 4),
    crop=st.integers(1, 40),
    modality=st.sampled_from(["rgb", "dif"]),
)
LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=30)


def train_plan(frames, spec, seed=0, flip=0.5):
    store = FakeStore(frames)
    return TrainPlan(store, np.arange(len(frames), dtype=np.int64), spec, seed=seed, flip=flip)


def test_span_is_counted_by_hand():
    assert ClipSpec(frames=16, stride=1).span == 16
    assert ClipSpec(frames=16, stride=2).span == 31
    assert ClipSpec(frames=16, stride=1, modality="dif").span == 17
    assert ClipSpec(frames=16, stride=2, modality="dif").span == 33
    assert ClipSpec(frames=16, stride=2, speeds=(1, 4, 2)).span == 121  # of the fastest


@given(LENGTHS, SPECS, st.integers(0, 2**63), st.integers(0, 5))
def test_each_epoch_holds_every_video_once(frames, spec, seed, epoch):
    plan = train_plan(frames, spec, seed)
    clips = plan.clips(epoch * len(frames), len(frames))
    assert sorted(clips.video) == list(range(len(frames)))


@given(LENGTHS, SPECS, st.integers(0, 1000), st.integers(0, 90), st.integers(1, 40))
def test_any_position_reached_directly_equals_it_reached_by_walking(
    frames, spec, seed, first, count
):
    walked = fields(train_plan(frames, spec, seed).clips(0, first + count))
    direct = fields(train_plan(frames, spec, seed).clips(first, count))
    np.testing.assert_array_equal(direct, walked[first:])


@given(LENGTHS, SPECS, st.integers(0, 1000))
def test_clips_lie_inside_their_videos(frames, spec, seed):
    plan = train_plan(frames, spec, seed)
    clips = plan.clips(0, 3 * len(frames))
    lengths = plan._frames[clips.video]
    numbers = frame_numbers(clips, spec, plan._frames)
    assert numbers.shape == (len(clips), spec.frames + (spec.modality == "dif"))
    assert (numbers >= 0).all()
    assert (numbers < lengths[:, None]).all()
    fits = lengths >= spec.span
    assert (np.diff(numbers[fits], axis=1) == spec.stride).all()  # a clip that fits never wraps
    assert (clips.start[~fits] == 0).all()
    for corner in (clips.y, clips.x):
        assert ((corner >= 0) & (corner + spec.crop <= 40)).all()


def clip_of(length, spec, start=0):
    """Return the frame numbers of one clip, (decoded_frames,)."""
    zero = np.zeros(1, dtype=np.int64)
    clips = Clips(
        zero, zero, zero + start, zero, zero, zero.astype(bool), zero + 1, zero + 1, zero - 1
    )
    (numbers,) = frame_numbers(clips, spec, np.array([length], dtype=np.int32))
    return numbers


@pytest.mark.parametrize(
    ("length", "stride", "expected"),
    [
        (4, 1, [0, 1, 2, 3, 2, 1, 0, 1]),
        (3, 1, [0, 1, 2, 1, 0, 1, 2, 1]),
        (2, 1, [0, 1, 0, 1, 0, 1, 0, 1]),
        (1, 1, [0] * 8),
        (1, 3, [0] * 8),
        (5, 2, [0, 2, 4, 2, 0, 2, 4, 2]),
        (6, 2, [0, 2, 4, 4, 2, 0, 2, 4]),  # at the turn, 4 is two frames from 4: 4 5 4
        (7, 1, [0, 1, 2, 3, 4, 5, 6, 5]),
        (8, 1, [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
@pytest.mark.parametrize("modality", ["rgb", "dif"])
def test_a_clip_of_a_short_video_turns_back_at_its_ends(length, stride, expected, modality):
    frames = 8 - (modality == "dif")
    spec = ClipSpec(frames=frames, stride=stride, crop=32, modality=modality)
    np.testing.assert_array_equal(clip_of(length, spec), expected)


@given(st.integers(2, 40), SPECS, st.integers(0, 39))
def test_turning_back_is_numpys_reflection_and_never_a_jump(length, spec, start):
    start = min(start, length - 1)
    numbers = clip_of(length, spec, start)
    reflected = np.pad(np.arange(length), (0, start + spec.span), mode="reflect")
    np.testing.assert_array_equal(numbers, reflected[start : start + spec.span : spec.stride])
    assert (np.abs(np.diff(numbers)) <= spec.stride).all()


def test_every_start_crop_and_flip_occurs_about_equally_often():
    spec = ClipSpec(frames=4, stride=2, crop=38)
    clips = train_plan([10], spec, seed=3).clips(0, 6000)
    for values, choices in ((clips.start, 4), (clips.y, 3), (clips.x, 3), (clips.flip, 2)):
        counts = np.bincount(values.astype(int), minlength=choices)
        assert len(counts) == choices
        # five standard deviations of a binomial count
        expected = 6000 / choices
        assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)
    # independent of each other: no correlation beyond five standard errors
    draws = np.stack([clips.start, clips.y, clips.x, clips.flip]).astype(float)
    correlation = np.corrcoef(draws) - np.eye(4)
    assert np.abs(correlation).max() < 5 / np.sqrt(6000)


def test_epochs_and_seeds_differ():
    spec = ClipSpec(frames=4, crop=20)
    frames = [30] * 50
    first = fields(train_plan(frames, spec, seed=0).clips(0, 50))[:, 1:]
    second = fields(train_plan(frames, spec, seed=0).clips(50, 50))[:, 1:]
    other = fields(train_plan(frames, spec, seed=1).clips(0, 50))[:, 1:]
    assert (first != second).any(axis=1).mean() > 0.9
    assert (first != other).any(axis=1).mean() > 0.9


@given(LENGTHS, SPECS, st.lists(st.integers(1, 5), min_size=2, max_size=4, unique=True))
def test_a_clip_is_played_at_its_speed_and_fits(frames, spec, speeds):
    paced = replace(spec, speeds=tuple(speeds))
    plan = train_plan(frames, paced, seed=4)
    clips = plan.clips(0, 3 * len(frames))
    numbers = frame_numbers(clips, paced, plan._frames)
    for video, start, speed, mine in zip(
        clips.video, clips.start, clips.speed, numbers, strict=True
    ):
        steps = spec.frames + (spec.modality == "dif") - 1
        longest = steps * spec.stride * max(speeds) + 1
        if frames[video] >= longest:
            stride = spec.stride * speeds[speed]
            assert mine.tolist() == [start + i * stride for i in range(steps + 1)]
            assert mine[-1] < frames[video]
        else:  # at the slowest, whatever the others would have shown by turning back
            assert speed == -1
            slow = replace(spec, stride=spec.stride * min(speeds))
            np.testing.assert_array_equal(mine, clip_of(frames[video], slow, start))
            assert start == 0 or start + slow.span <= frames[video]


def test_every_speed_is_drawn_about_equally_often_and_every_start_that_fits():
    spec = ClipSpec(frames=4, crop=20, speeds=(1, 2, 4))
    clips = train_plan([14, 9], spec, seed=3).clips(0, 12000)
    long = clips.video == 0
    assert (clips.speed[~long] == -1).all()
    assert set(clips.start[~long]) == set(range(6))
    counts = np.bincount(clips.speed[long])
    assert len(counts) == 3
    assert np.abs(counts - 2000).max() < 5 * np.sqrt(2000)
    for speed, starts in enumerate((11, 8, 2)):  # 14 frames less 3 steps of the speed
        of_speed = np.bincount(clips.start[long & (clips.speed == speed)], minlength=starts)
        assert len(of_speed) == starts
        expected = counts[speed] / starts
        assert np.abs(of_speed - expected).max() < 5 * np.sqrt(expected)
    draws = np.stack([clips.speed, clips.y, clips.x, clips.flip])[:, long].astype(float)
    assert np.abs(np.corrcoef(draws) - np.eye(4)).max() < 5 / np.sqrt(6000)


def test_speeds_change_no_other_choice_and_can_be_reached_directly():
    spec = ClipSpec(frames=4, stride=2, crop=20)
    plain = train_plan([30] * 20, spec).clips(0, 60)
    paced = train_plan([30] * 20, replace(spec, speeds=(1, 3))).clips(0, 60)
    for name in ("sample", "video", "y", "x", "flip"):
        np.testing.assert_array_equal(getattr(paced, name), getattr(plain, name))
    assert (plain.speed == -1).all()
    slow = paced.speed == 0
    np.testing.assert_array_equal(paced.start[slow], plain.start[slow])
    direct = train_plan([30] * 20, replace(spec, speeds=(1, 3))).clips(33, 5)
    np.testing.assert_array_equal(direct.speed, paced.speed[33:38])
    np.testing.assert_array_equal(direct.start, paced.start[33:38])


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_flip_probability_at_its_ends(flip):
    clips = train_plan([30] * 20, ClipSpec(crop=20), flip=flip).clips(0, 100)
    assert (clips.flip == bool(flip)).all()


@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(0, 7), st.integers(1, 5)
)
def test_ranks_and_micro_batches_cover_each_step_once(world, accumulate, per_slot, start, steps):
    batch = world * accumulate * per_slot
    seen = {}
    for rank in range(world):
        ranges = train_ranges(
            batch=batch,
            start_step=start,
            steps=steps,
            share=Share(rank, world, accumulate),
        )
        for i, (first, count) in enumerate(ranges):
            assert count == per_slot
            for sample in range(first, first + count):
                assert sample not in seen
                seen[sample] = i // accumulate
    expected = range(start * batch, (start + steps) * batch)
    assert sorted(seen) == list(expected)
    assert all(step == sample // batch - start for sample, step in seen.items())


def test_two_ranks_see_what_one_rank_sees_in_two_micro_batches():
    common = {"batch": 8, "start_step": 0, "steps": 2}
    alone = list(train_ranges(**common, share=Share(accumulate=2)))
    ranks = [list(train_ranges(**common, share=Share(r, 2))) for r in (0, 1)]
    assert alone == [ranks[0][0], ranks[1][0], ranks[0][1], ranks[1][1]]
    assert alone[:2] == [(0, 4), (4, 4)]


def test_indivisible_batch_names_both_numbers():
    with pytest.raises(UsageError, match=r"train\.batch is 10.*2 processes x 2 micro-batches"):
        train_ranges(batch=10, start_step=0, steps=1, share=Share(0, 2, 2))


def test_uniform_clips_by_hand():
    spec = ClipSpec(frames=4, stride=2, crop=32)  # spans 7 frames
    store = FakeStore([27, 5, 7])
    videos = np.array([0, 1, 2])
    clips = EvalPlan(store, videos, spec, clips_per_video=3).clips(0, 9)
    np.testing.assert_array_equal(clips.video, [0, 0, 0, 1, 1, 1, 2, 2, 2])
    np.testing.assert_array_equal(clips.start, [0, 10, 20, 0, 0, 0, 0, 0, 0])
    assert (clips.y == 4).all()
    assert (clips.x == 4).all()
    assert not clips.flip.any()
    numbers = frame_numbers(clips, spec, store.frames)
    np.testing.assert_array_equal(numbers[2], [20, 22, 24, 26])
    np.testing.assert_array_equal(numbers[3], [0, 2, 4, 2])  # the short video turns back
    one = EvalPlan(store, videos, spec, clips_per_video=1).clips(0, 1)
    np.testing.assert_array_equal(one.start, [10])


@given(st.integers(0, 50), st.integers(1, 9), st.integers(1, 5))
def test_test_ranges_cover_everything_once(total, batch, world):
    samples = [
        sample
        for rank in range(world)
        for first, count in ranges_for_test(total=total, batch=batch, share=Share(rank, world))
        for sample in range(first, first + count)
    ]
    assert samples == list(range(total))


def test_crop_larger_than_the_frames_says_what_to_do():
    with pytest.raises(UsageError, match=r"data\.crop is 41.*40x40"):
        train_plan([30], ClipSpec(crop=41))
