"""What each action does, seen in its joints."""

import itertools

import numpy as np
import pytest

from fastrot.synthetic.actions import ACTIONS
from fastrot.synthetic.figure import Body, joints

CYCLES = np.arange(60) / 30


def positions(name):
    found = joints(Body(), ACTIONS[name].angles(CYCLES, 1.0))
    return {joint: position[:, 1] for joint, position in found.items()}, found


@pytest.mark.parametrize("name", ACTIONS)
def test_action_repeats_and_moves_but_for_its_travel(name):
    _, found = positions(name)
    shape = {joint: position - found["pelvis"] for joint, position in found.items()}
    moved = 0.0
    for position in shape.values():
        np.testing.assert_allclose(position[:30], position[30:], atol=1e-9)
        moved = max(moved, float(np.ptp(position, axis=0).max()))
    assert moved > 0.2


@pytest.mark.parametrize("name", ["Bow", "JumpingJack", "Kick", "Punch", "Squat", "Walk", "Wave"])
def test_upright_actions_keep_the_feet_on_the_ground_and_the_head_above(name):
    height, _ = positions(name)
    if name != "Bow":
        assert (height["head"] > height["pelvis"]).all()
    assert np.minimum(height["left_toe"], height["right_toe"]).max() < 0.1


def test_no_two_actions_are_the_same_motion():
    _, first = positions("Walk")
    tracks = {
        name: np.concatenate(
            [v - positions(name)[1]["pelvis"] for v in positions(name)[1].values()]
        )
        for name in ACTIONS
    }
    assert len(first) == 18
    for one, other in itertools.combinations(tracks, 2):
        assert np.abs(tracks[one] - tracks[other]).max() > 0.1, (one, other)


def test_what_makes_an_action_what_it_is():
    jump, _ = positions("Jump")
    soles = np.minimum(jump["left_toe"], jump["right_toe"])
    assert soles.max() > 0.2
    assert soles.min() == pytest.approx(0, abs=1e-9)
    cartwheel, _ = positions("Cartwheel")
    upside_down = cartwheel["head"] < cartwheel["pelvis"]
    assert 0.3 < upside_down.mean() < 0.7
    fall, _ = positions("Fall")
    assert fall["head"].max() > 0.8
    assert fall["head"].min() < 0.3
    crawl, _ = positions("Crawl")
    assert crawl["head"].max() < 0.6
    kick, _ = positions("Kick")
    assert kick["right_ankle"].max() > 0.35
    assert kick["left_ankle"].max() < 0.1
