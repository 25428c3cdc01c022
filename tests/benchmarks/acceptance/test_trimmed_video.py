"""A trimmed file decodes to the frames of the whole one."""

import io

import av
import numpy as np
import pytest
import torch

from benchmarks.acceptance.trimmed_video import CLIPS, FRAMES, LENGTH, Clips
from benchmarks.harness.measure import NotHere, Options
from fastrot.distributed.runtime import Runtime

CPU = Options(Runtime(torch.device("cpu"), rank=0, world=1, threads=1, precision="fp32"))


def decoded(data):
    with av.open(io.BytesIO(data)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.slow
def test_clips_of_both_ways_are_the_same_frames():
    clips = Clips(CPU)
    planned = clips._planned
    for (files, numbers), trimmed in ((clips.whole, False), (clips.trimmed, True)):
        assert len(files) == CLIPS
        assert numbers.shape == (CLIPS, FRAMES)
        assert numbers.dtype == np.int32
        for row in range(0, CLIPS, 8):
            video, start = planned[row]
            frames = decoded(files[row].tobytes())
            assert len(frames) < LENGTH if trimmed else len(frames) == LENGTH
            expected = decoded(video.data)[start : start + FRAMES]
            np.testing.assert_array_equal(frames[numbers[row]], expected)


def test_trimming_is_timed_and_saves_bytes():
    figures = Clips(CPU).trimming()
    assert figures["ms_per_clip"] > 0
    assert figures["trimmed_kb"] < figures["whole_kb"] / 3


def test_without_a_gpu_nothing_is_decoded():
    clips = Clips(CPU)
    with pytest.raises(NotHere, match="no GPU"):
        clips.rate(trimmed=False)
    with pytest.raises(NotHere, match="no GPU"):
        clips.compare()


def test_each_way_builds_its_pipeline_once(monkeypatch):
    built = []
    clips = Clips(CPU)
    monkeypatch.setattr(clips, "_build", lambda fed: built.append(fed) or len(built))
    found = [clips._pipeline(trimmed=trimmed) for trimmed in (False, True, False, True)]
    assert found == [1, 2, 1, 2]
    assert built[0] is clips.whole
    assert built[1] is clips.trimmed
