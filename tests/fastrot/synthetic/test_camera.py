"""What a hand-held camera does, and what it sees."""

import numpy as np
from scipy.ndimage import map_coordinates

from fastrot.synthetic.camera import MARGIN, CameraPath, hand_held, seen


def paths(count, frames=32):
    return [hand_held(np.random.default_rng(seed), frames) for seed in range(count)]


def test_path_is_smooth_stays_within_the_margin_and_moves_a_few_pixels_of_80_a_frame():
    steps = []
    for path in paths(300):
        assert path.shift.shape == (32, 2)
        farthest = np.abs(path.shift) + 0.5 / path.zoom[:, None]
        assert farthest.max() < 0.5 + MARGIN - 0.02
        steps.append(80 * np.abs(np.diff(path.shift, axis=0)))
    steps = np.array(steps)
    assert 0.7 < np.median(steps[..., 0]) < 3
    assert np.max(steps) < 8


def test_pans_are_mostly_level_and_favour_neither_way():
    moved = np.array([path.shift[9] - path.shift[0] for path in paths(1000)])
    ways = (moved > 0).mean(axis=0)
    np.testing.assert_allclose(ways, 0.5, atol=0.05)  # a standard error of 0.016
    across, upright = np.abs(moved).mean(axis=0)
    assert 2.5 < across / upright < 5
    zooms = np.array([path.zoom[9] / path.zoom[0] for path in paths(1000)])
    assert abs((zooms > 1).mean() - 0.5) < 0.05


def test_seen_is_bilinear_sampling_about_the_middle():
    rng = np.random.default_rng(0)
    pictures = rng.uniform(0, 255, (2, 36, 36, 3)).astype(np.float32)
    path = CameraPath(shift=np.array([[0.1, -0.05], [0.0, 0.0]]), zoom=np.array([0.95, 1.0]))
    views = seen(pictures, path, 20)
    assert views.dtype == np.float32
    at = np.arange(20) + 0.5 - 10
    down, right = 18 - 1 + at / 0.95 - 0.5, 18 + 2 + at / 0.95 - 0.5
    for channel in range(3):
        expected = map_coordinates(
            pictures[0, :, :, channel], np.meshgrid(down, right, indexing="ij"), order=1
        )
        np.testing.assert_allclose(views[0, :, :, channel], expected, atol=1e-2)
    np.testing.assert_allclose(views[1], pictures[1, 8:28, 8:28], atol=1e-4)
