"""Correlations against numpy's, and the cue against loops."""

import numpy as np
import pytest
import torch

from fastrot.analysis.attention import attention_maps, centre_clips
from fastrot.analysis.correlations import boxed, correlate, cue, pearson
from fastrot.analysis.untrained import untrained_like


def test_the_correlation_is_numpys():
    one, other = torch.randn(3, 4, 5), torch.rand(3, 4, 5)
    expected = [
        np.corrcoef(a.flatten(), b.flatten())[0, 1] for a, b in zip(one, other, strict=True)
    ]
    np.testing.assert_allclose(pearson(one, other), expected, rtol=1e-6)


def test_a_constant_map_has_no_correlation():
    assert pearson(torch.ones(1, 8), torch.rand(1, 8)).isnan().all()


def test_the_cue_of_differences_is_their_size():
    clips = torch.randint(-255, 256, (2, 3, 6, 6, 3), dtype=torch.int16)
    expected = np.abs(clips.numpy()).mean(axis=-1)[:, None]
    np.testing.assert_allclose(cue(clips, "dif"), expected, rtol=1e-6)


def test_the_cue_of_colours_is_the_gradients_magnitude():
    clips = torch.randint(0, 256, (1, 2, 6, 7, 3), dtype=torch.uint8)
    gray = clips.numpy().astype(float).mean(axis=-1)
    found = cue(clips, "rgb")[0, 0]
    for t in range(2):
        for y in range(1, 5):
            for x in range(1, 6):
                down = (gray[0, t, y + 1, x] - gray[0, t, y - 1, x]) / 2
                right = (gray[0, t, y, x + 1] - gray[0, t, y, x - 1]) / 2
                assert found[t, y, x] == pytest.approx(np.hypot(down, right), rel=1e-4)


def test_the_box_is_a_first_convolution_of_equal_weights(trained):
    conv = trained.network.conv1
    conv.weight.data.fill_(1 / 7**3)
    values = torch.rand(2, 1, 5, 11, 12)
    with torch.no_grad():
        expected = conv(torch.cat([values, torch.zeros(2, 2, 5, 11, 12)], dim=1))[:, 0]
    torch.testing.assert_close(boxed(values), expected)


def test_every_pair_is_the_mean_over_the_rotations(trained, make_store, runtime):
    store = make_store()
    videos = store.select("all")
    networks = {"ours": trained, "untrained": untrained_like(trained, runtime)}
    found = correlate(networks, store, videos, runtime, batch=4)
    assert list(found) == [
        ("ours", "untrained"),
        ("ours", "|gradient|"),
        ("untrained", "|gradient|"),
    ]
    clips = list(centre_clips(trained.config.data, store, videos, runtime))
    for at in (0, 5):
        inputs = trained.task.upright(clips[at], torch.float32)
        changes = cue(clips[at].clips, "rgb")
        maps, cues = [], []
        for turns in range(4):
            maps.append(
                [
                    attention_maps(each.network, torch.rot90(inputs, turns, (3, 4))).flatten()
                    for each in networks.values()
                ]
            )
            cues.append(boxed(torch.rot90(changes, turns, (3, 4))).flatten())
        ours = [np.corrcoef(*pair)[0, 1] for pair in maps]
        still = [
            np.corrcoef(*[each.reshape(4, -1).mean(0) for each in pair])[0, 1] for pair in maps
        ]
        with_cue = [np.corrcoef(pair[0], box)[0, 1] for pair, box in zip(maps, cues, strict=True)]
        assert found["ours", "untrained"][at, 0] == pytest.approx(np.mean(ours), rel=1e-4)
        assert found["ours", "untrained"][at, 1] == pytest.approx(np.mean(still), rel=1e-4)
        assert found["ours", "|gradient|"][at, 0] == pytest.approx(np.mean(with_cue), rel=1e-4)


def test_a_network_agrees_with_itself(trained, make_store, runtime):
    store = make_store()
    same = correlate({"a": trained, "b": trained}, store, store.select("all"), runtime, batch=3)
    np.testing.assert_allclose(same["a", "b"], np.ones((6, 2)), rtol=1e-9)
