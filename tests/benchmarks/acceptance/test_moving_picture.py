"""The pictures move and differ."""

import numpy as np

from benchmarks.acceptance.moving_picture import SIZE, moving_picture


def test_pictures_move_by_two_pixels():
    first, _, third = moving_picture(3)
    assert first.shape == (SIZE, SIZE, 3)
    np.testing.assert_array_equal(third[:, 4:], first[:, :-4])
    other = next(moving_picture(1, seed=1))
    assert np.abs(first.astype(int) - other).mean() > 20
