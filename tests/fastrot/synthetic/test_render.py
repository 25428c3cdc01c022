"""Capsules against a slow reference, and what the camera does."""

import numpy as np

from fastrot.synthetic.figure import Body, joints, pose
from fastrot.synthetic.render import Camera, Capsule, Clothes, capsules, draw, expose, place

CLOTHES = Clothes(*[(200.0, 150.0, 100.0)] * 5)


def capsule(start, end, radius, colour=(255, 255, 255)):
    return Capsule(
        np.array([start], float), np.array([end], float), radius, np.array(colour, np.float32), 0.0
    )


def covered(frame):
    return frame[..., 0] > 100


def test_capsule_covers_the_pixels_within_its_radius():
    black = np.zeros((40, 40, 3), np.float32)
    start, end, radius = np.array([8.0, 10.0]), np.array([30.0, 24.0]), 4.0
    drawn = [capsule(start, end, radius)]
    (frame,) = draw(black, drawn, 1)
    stretch = start + np.linspace(0, 1, 1001)[:, None] * (end - start)
    distances = np.empty((40, 40))
    for row in range(40):
        for column in range(40):
            point = np.array([column + 0.5, row + 0.5])
            distances[row, column] = np.hypot(*(stretch - point).T).min()
    clear = np.abs(distances - radius) > 0.6  # the rest is the smoothed edge
    np.testing.assert_array_equal((frame[..., 0] > 0)[clear], (distances < radius)[clear])


def test_capsule_outside_the_frame_is_cut_off():
    black = np.zeros((16, 16, 3), np.float32)
    drawn = [capsule((-20, -20), (-10, -12), 3.0), capsule((8, 8), (40, 8), 2.0)]
    (frame,) = draw(black, drawn, 1)
    assert covered(frame)[8, 15]
    assert not covered(frame)[:5].any()


def test_nearer_limbs_hide_farther_ones():
    found = joints(Body(), pose(1))
    for yaw, near in ((0.0, "right"), (np.pi, "left")):
        shoes = Clothes(*[(0.0, 0.0, 0.0)] * 4, shoes=(9.0, 9.0, 9.0))
        placement = place(Body(), found, Camera(yaw, 0.5, (0.5, 0.5), 0.5), 80)
        order = capsules(Body(), found, shoes, yaw, placement)
        shod = [c for c in order if c.colour.any()]
        assert shod[0].depth < shod[1].depth
        # Facing right and seen from the right side, toes point to the right.
        points_right = shod[1].end[0, 0] > shod[1].start[0, 0]
        assert points_right == (near == "right")


def test_figure_has_the_asked_height_and_is_where_the_camera_aims():
    found = joints(Body(), pose(2, forward=np.array([0.0, 0.2])))
    for target in ((0.5, 0.5), (0.4, 0.6), (0.55, 0.45)):
        placement = place(Body(), found, Camera(0.0, 0.4, target, 0.5), 100)
        assert placement.scale == 40
        drawn = capsules(Body(), found, CLOTHES, 0.0, placement)
        ends = np.concatenate([[limb.start[0], limb.end[0]] for limb in drawn])
        assert np.abs(ends - 100 * np.array(target)).max(axis=1).min() < 1e-9
        white = np.full((100, 100, 3), 255, np.float32)
        frame, _ = draw(white, drawn, 2)
        rows, _ = np.nonzero(frame[..., 2] < 128)
        assert 36 <= np.ptp(rows) <= 44


def test_camera_aims_at_what_moves_and_at_anything_where_nothing_does():
    swing = np.array([0.0, 0.8, 0.0])
    found = joints(Body(), pose(3, shoulder=(swing, 0.0)))  # only the left arm moves
    for aim in (0.05, 0.5, 0.95):
        placement = place(Body(), found, Camera(0.0, 0.5, (0.5, 0.5), aim), 64)
        at = (np.array([32, 32]) - placement.origin) / placement.scale * [1, -1]
        moving = np.concatenate([found["left_elbow"], found["left_hand"]])[:, :2]
        assert np.abs(moving - at).max(axis=1).min() < 1e-9
    still = joints(Body(), pose(1))
    heights = [
        place(Body(), still, Camera(0.0, 0.5, (0.5, 0.5), aim), 64).origin[1]
        for aim in np.linspace(0, 1, 40)
    ]
    assert len(np.unique(np.round(heights, 6))) > 8


def test_noise_is_that_of_the_asked_strength_and_new_in_each_frame():
    grey = np.full((3, 64, 64, 3), 128, np.float32)
    frames = expose(grey, noise=2.0, rng=np.random.default_rng(0)).astype(int)
    assert 1.8 < (frames - 128).std() < 2.2
    assert 2.5 < (frames[1] - frames[0]).std() < 3.2  # 2 * sqrt(2)
