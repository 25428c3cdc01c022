import numpy as np
import pytest

from pipelines.finish import finish_batch, finish_clip, new_batch
from pipelines.plan import Clips, ClipSpec


@pytest.mark.parametrize("flip", [False, True])
def test_a_clip_is_mirrored_and_differences_are_signed(flip):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (4, 9, 11, 3), dtype=np.uint8)
    frames[0], frames[1] = 255, 0  # the largest differences, which uint8 would wrap
    crop = frames[:, 1:8, 2:9]
    wanted = crop[:, :, ::-1] if flip else crop
    rgb, dif = ClipSpec(4, crop=7), ClipSpec(3, crop=7, modality="dif")
    into = new_batch(1, rgb)
    finish_clip(crop, into[0], flip=flip, spec=rgb)
    np.testing.assert_array_equal(into[0], wanted)
    into = new_batch(1, dif)
    finish_clip(crop, into[0], flip=flip, spec=dif)
    np.testing.assert_array_equal(into[0], np.diff(wanted.astype(int), axis=0))
    assert into.min() == -255


@pytest.mark.parametrize("cropped_by_the_decoder", [False, True])
def test_a_batch_is_cut_where_the_plan_says(cropped_by_the_decoder):
    frames = np.random.default_rng(1).integers(0, 256, (2, 3, 10, 10, 3), dtype=np.uint8)
    zeros = np.zeros(2, dtype=np.int64)
    clips = Clips(zeros, zeros, zeros, np.array([0, 4]), np.array([3, 2]), np.array([True, False]))
    wanted = np.stack([frames[0, :, 0:6, 3:9][:, :, ::-1], frames[1, :, 4:10, 2:8]])
    given = frames
    if cropped_by_the_decoder:
        given = np.stack([frames[0, :, 0:6, 3:9], frames[1, :, 4:10, 2:8]])
    np.testing.assert_array_equal(finish_batch(given, clips, ClipSpec(3, crop=6)), wanted)
