"""Scenes do not reveal their rotation."""

import numpy as np
from sklearn.linear_model import RidgeClassifier

from fastrot.synthetic.scene import background

SIZE = 32


def rotation_accuracy(scenes):
    """Of a linear classifier of rotation from thumbnails and borders, on scenes not seen before."""
    features, labels = [], []
    for scene in scenes:
        for turn in range(4):
            turned = np.rot90(scene, turn)
            thumbnail = turned.reshape(8, SIZE // 8, 8, SIZE // 8, 3).mean((1, 3)).ravel()
            borders = [turned[0], turned[-1], turned[:, 0], turned[:, -1]]
            borders = np.concatenate([[b.mean(), b.std()] for b in borders])
            rows = np.concatenate([turned.mean((1, 2)), turned.mean((0, 2)), turned.std((1, 2))])
            features.append(np.concatenate([thumbnail, borders, rows]) / 255)
            labels.append(turn)
    features, labels = np.array(features), np.array(labels)
    cut = len(labels) // 2
    model = RidgeClassifier(alpha=30.0).fit(features[:cut], labels[:cut])
    return model.score(features[cut:], labels[cut:])


def test_rotation_of_a_scene_cannot_be_told():
    scenes = [background(np.random.default_rng(i), SIZE) for i in range(240)]
    # 480 test pictures: chance is 0.25 with a standard error of 0.02.
    assert rotation_accuracy(scenes) < 0.33
    # The same measure finds the light from above that such scenes must not have.
    light = np.linspace(40, -40, SIZE)[:, None, None]
    assert rotation_accuracy([scene + light for scene in scenes]) > 0.6


def test_scenes_differ_and_are_pictures():
    one, other = (background(np.random.default_rng(i), SIZE) for i in (0, 1))
    assert one.shape == (SIZE, SIZE, 3)
    assert one.dtype == np.float32
    assert 0 <= one.min() <= one.max() <= 255
    assert np.abs(one - other).mean() > 20
    np.testing.assert_array_equal(one, background(np.random.default_rng(0), SIZE))


def test_horizon_parts_a_bright_sky_from_a_dark_ground():
    for seed in range(20):
        scene = background(np.random.default_rng(seed), 64, horizon=40.0)
        assert scene[:39].mean() > scene[41:].mean() + 20
        rough = np.abs(np.diff(scene, axis=1)).mean(axis=(1, 2))
        assert rough[41:].mean() > 2 * rough[:39].mean()
    plain = background(np.random.default_rng(0), 64)
    below = background(np.random.default_rng(0), 64, horizon=-5.0)
    above = background(np.random.default_rng(0), 64, horizon=70.0)
    assert below.mean() < plain.mean() < above.mean()
