"""The comparison of colour conversions."""

import numpy as np

from benchmarks.harness.inputs import SIZE
from benchmarks.tools import colours


def test_the_difference_of_two_pictures():
    frames = np.array([250, 10, 100, 100], dtype=np.uint8)
    others = np.array([255, 5, 100, 104], dtype=np.uint8)
    assert colours.difference(frames, others) == (3.5, -1.0)


def test_every_conversion_is_compared_with_the_same_pictures():
    found = list(colours.rows("waves", colours.smooth_colours(4, SIZE)))
    assert [row[:2] for row in found] == [
        ["vp9, waves", "DALI"],
        ["vp9, waves", "FFmpeg, accurate"],
        ["h264, waves", "FFmpeg, accurate"],
    ]
    for row in found:
        ours, theirs, more, *_ = map(float, row[2:])
        assert max(ours, theirs) < 4  # another frame of these waves is further away
        assert abs(ours - theirs - more) < 0.02
    dali, ffmpeg, _ = found
    assert dali[2] == ffmpeg[2]
    assert abs(float(dali[3]) - float(ffmpeg[3])) < 0.05


def test_another_frame_is_further_away_than_any_conversion():
    first, second, *_ = colours.smooth_colours(3, SIZE)
    assert colours.difference(first, second)[0] > 4
