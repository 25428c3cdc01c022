"""Attention maps against a slow reference, and the box against all boxes."""

import numpy as np
import pytest
import torch

from fastrot.analysis.attention import attend, attention_maps, hottest_box
from fastrot.config import from_mapping
from fastrot.evaluation.trained import Trained
from fastrot.tasks import make_task


@pytest.fixture
def trained(make_store):
    config = from_mapping(
        {
            "data": {"store": str(make_store().path), "frames": 4, "crop": 24},
            "model": {"depth": 10, "width": 2},
        }
    )
    torch.manual_seed(1)
    task = make_task(config, [])
    network = task.network(config.model)
    network.bn1.running_mean.normal_()
    network.bn1.running_var.uniform_(0.5, 2)
    return Trained(network, task, config)


def test_maps_are_the_mean_of_activations_by_the_definition(trained):
    clips = torch.randn(2, 3, 4, 24, 24)
    maps = attention_maps(trained, clips)
    network = trained.network
    with torch.no_grad():
        active = torch.nn.functional.conv3d(
            clips, network.conv1.weight, stride=(1, 2, 2), padding=3
        )
        scale = network.bn1.weight / (network.bn1.running_var + network.bn1.eps).sqrt()
        shift = network.bn1.bias - network.bn1.running_mean * scale
        active = active * scale[:, None, None, None] + shift[:, None, None, None]
        expected = active.clamp(min=0).sum(dim=(1, 2)) / (2 * 4)
    assert maps.shape == (2, 24, 24)
    small = torch.nn.functional.interpolate(
        expected[:, None], (24, 24), mode="bilinear", align_corners=False
    )[:, 0]
    torch.testing.assert_close(maps, small, rtol=1e-4, atol=1e-5)


def test_evaluation_mode_is_left_as_it_was(trained):
    trained.network.train()
    attention_maps(trained, torch.randn(1, 3, 4, 24, 24))
    assert trained.network.training


def test_the_box_is_the_best_of_all_boxes():
    heat = np.random.default_rng(3).random((12, 15)).astype(np.float32)
    top, left, side = hottest_box(heat)
    assert side == 4
    means = {
        (y, x): heat[y : y + 4, x : x + 4].mean() for y in range(12 - 3) for x in range(15 - 3)
    }
    assert (top, left) == max(means, key=means.get)


def test_the_box_at_the_far_corner_is_inside():
    heat = np.zeros((9, 9), np.float32)
    heat[8, 8] = 1
    assert hottest_box(heat) == (6, 6, 3)


def test_each_video_is_seen_in_four_rotations(trained, make_store, runtime):
    store = make_store()
    (views, _) = attend([trained, trained], store, store.select("all")[:2], runtime)
    assert [view.degrees for view in views] == [0, 90, 180, 270]
    for view in views:
        assert view.frame.shape == (24, 24, 3)
        assert len(view.maps) == 2
        np.testing.assert_array_equal(view.maps[0], view.maps[1])
        turns = view.degrees // 90
        np.testing.assert_array_equal(view.frame, np.rot90(views[0].frame, turns))
    assert not np.array_equal(views[0].maps[0], np.rot90(views[1].maps[0], -1))
