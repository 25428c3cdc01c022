"""Forward kinematics against trigonometry by hand."""

import numpy as np
import pytest

from fastrot.synthetic.figure import LEFT, RIGHT, Body, direction, joints, pose

BODY = Body(upper_arm=0.2, forearm=0.1, thigh=0.25, shin=0.25, foot=0.08)


def limb(found, start, end, frame=0):
    return found[end][frame] - found[start][frame]


def test_standing_figure_is_upright_on_the_ground():
    found = joints(BODY, pose(3))
    np.testing.assert_allclose(found["pelvis"], [[0, 0.5, 0]] * 3)  # thigh + shin above the ground
    np.testing.assert_allclose(found["left_toe"][0], [0.08, 0, -BODY.hips / 2], atol=1e-12)
    np.testing.assert_allclose(limb(found, "right_shoulder", "right_hand"), [0, -0.3, 0])
    assert found["head"][0, 1] > found["neck"][0, 1] > found["chest"][0, 1] > 0.5


def test_limb_of_a_length_at_an_angle_ends_where_trigonometry_says():
    angle = np.deg2rad(30)
    found = joints(BODY, pose(1, shoulder=(0.0, angle), elbow=(0.0, np.deg2rad(60))))
    expected = [0.2 * np.sin(angle), -0.2 * np.cos(angle), 0]
    np.testing.assert_allclose(limb(found, "right_shoulder", "right_elbow"), expected, atol=1e-12)
    # 30 + 60 degrees: straight forwards.
    np.testing.assert_allclose(limb(found, "right_elbow", "right_hand"), [0.1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(limb(found, "left_shoulder", "left_hand"), [0, -0.3, 0], atol=1e-12)


def test_knee_bends_backwards_and_lowers_the_body():
    found = joints(BODY, pose(1, hip=np.pi / 2, knee=np.pi / 2))  # sitting
    np.testing.assert_allclose(limb(found, "left_hip", "left_knee"), [0.25, 0, 0], atol=1e-12)
    np.testing.assert_allclose(limb(found, "left_knee", "left_ankle"), [0, -0.25, 0], atol=1e-12)
    assert found["pelvis"][0, 1] == pytest.approx(0.25)


@pytest.mark.parametrize(("side", "sign"), [(LEFT, -1), (RIGHT, 1)])
def test_spread_goes_away_from_the_body(side, sign):
    spread = np.array([np.pi / 2, np.pi])
    expected = [[0, 0, sign], [0, 1, 0]]  # level, then overhead
    np.testing.assert_allclose(direction(0 * spread, spread, side), expected, atol=1e-12)


def test_trunk_and_body_turn_forwards_and_to_the_right():
    bent = joints(BODY, pose(1, bend=np.pi / 2))
    np.testing.assert_allclose(limb(bent, "pelvis", "neck"), [BODY.torso, 0, 0], atol=1e-12)
    assert bent["pelvis"][0, 1] == pytest.approx(0.5)  # the legs stay
    lying = joints(BODY, pose(1, pitch=np.pi / 2))
    np.testing.assert_allclose(limb(lying, "right_hip", "right_ankle"), [-0.5, 0, 0], atol=1e-12)
    rolled = joints(BODY, pose(1, roll=np.pi / 2))
    np.testing.assert_allclose(limb(rolled, "pelvis", "neck"), [0, 0, BODY.torso], atol=1e-12)


def test_lift_and_travel_move_the_whole_body():
    ahead = np.array([0.0, 0.3])
    found = joints(BODY, pose(2, lift=0.2, forward=ahead, sideways=-ahead))
    np.testing.assert_allclose(found["pelvis"], [[0, 0.7, 0], [0.3, 0.7, -0.3]])


def test_unknown_angle_is_refused():
    with pytest.raises(ValueError, match="shoulders"):
        pose(1, shoulders=0.1)
