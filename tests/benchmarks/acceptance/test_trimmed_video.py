"""A trimmed file decodes to the frames of the whole one."""

import io

import av
import numpy as np
import pytest
import torch

from benchmarks.acceptance.moving_picture import moving_picture
from benchmarks.acceptance.trimmed_video import CLIPS, FRAMES, LENGTH, Clips, trim_file
from benchmarks.harness.measure import NotHere, Options
from fastrot.distributed.runtime import Runtime
from pipelines.prepare.encode import encode

CPU = Options(Runtime(torch.device("cpu"), rank=0, world=1, threads=1, precision="fp32"))


def decoded(data):
    with av.open(io.BytesIO(data)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture(scope="module")
def whole():
    return bytes(encode(moving_picture(40), "h264", 18, 25).data)


@pytest.mark.parametrize(
    ("first", "last", "key"), [(0, 15, 0), (15, 17, 0), (16, 20, 16), (33, 39, 32), (39, 39, 32)]
)
def test_it_begins_at_the_key_frame_and_ends_with_the_clip(whole, first, last, key):
    file, start = trim_file(whole, first, last)
    assert start == key
    np.testing.assert_array_equal(decoded(file), decoded(whole)[key : last + 1])


def test_its_frames_begin_at_time_zero_without_an_edit_list(whole):
    file, _ = trim_file(whole, 34, 39)
    with av.open(io.BytesIO(file)) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert times[0] == 0
    assert len(times) == 8
    # An edit list that skips or delays would begin elsewhere.
    where = file.find(b"elst")
    assert where < 0 or int.from_bytes(file[where + 16 : where + 20], "big") == 0


def test_clips_of_both_ways_are_the_same_frames():
    clips = Clips(CPU)
    planned = clips._planned
    for (files, numbers), trimmed in ((clips.whole, False), (clips.trimmed, True)):
        assert len(files) == CLIPS
        assert numbers.shape == (CLIPS, FRAMES)
        assert numbers.dtype == np.int32
        for row in range(0, CLIPS, 8):
            data, start = planned[row]
            frames = decoded(files[row].tobytes())
            assert len(frames) < LENGTH if trimmed else len(frames) == LENGTH
            expected = decoded(data)[start : start + FRAMES]
            np.testing.assert_array_equal(frames[numbers[row]], expected)


def test_trimming_is_timed_and_saves_bytes():
    figures = Clips(CPU).trimming()
    assert figures["ms_per_clip"] > 0
    assert figures["trimmed_kb"] < figures["whole_kb"] / 3


def test_without_a_gpu_nothing_is_decoded():
    clips = Clips(CPU)
    with pytest.raises(NotHere, match="no GPU"):
        clips.rate(clips.whole)
    with pytest.raises(NotHere, match="no GPU"):
        clips.compare()
