"""Attention maps against a slow reference, and the box against all boxes."""

from dataclasses import replace

import numpy as np
import torch

from fastrot.analysis.attention import attend, attention_maps, centre_clips, hottest_box


def test_maps_are_the_mean_of_activations_by_the_definition(trained):
    clips = torch.randn(2, 3, 4, 24, 24)
    network = trained.network
    maps = attention_maps(network, clips)
    with torch.no_grad():
        active = torch.nn.functional.conv3d(
            clips, network.conv1.weight, stride=(1, 2, 2), padding=3
        )
        scale = network.bn1.weight / (network.bn1.running_var + network.bn1.eps).sqrt()
        shift = network.bn1.bias - network.bn1.running_mean * scale
        active = active * scale[:, None, None, None] + shift[:, None, None, None]
        expected = active.clamp(min=0).sum(dim=1) / 2
    assert maps.shape == (2, 4, 12, 12)
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5)


def test_evaluation_mode_is_left_as_it_was(trained):
    trained.network.train()
    attention_maps(trained.network, torch.randn(1, 3, 4, 24, 24))
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
    videos = store.select("all")[:2]
    (views, _) = attend([trained, trained], store, videos, runtime, count=2)
    assert [view.degrees for view in views] == [0, 90, 180, 270]
    for view in views:
        assert view.numbers == (1, 3)
        assert view.frames.shape == (2, 24, 24, 3)
        assert [each.shape for each in view.maps] == [(2, 24, 24)] * 2
        np.testing.assert_array_equal(view.maps[0], view.maps[1])
        turns = view.degrees // 90
        for frame, upright in zip(view.frames, views[0].frames, strict=True):
            np.testing.assert_array_equal(frame, np.rot90(upright, turns))
    assert not np.array_equal(views[0].maps[0][0], np.rot90(views[1].maps[0][0], -1))


def test_frames_and_maps_are_those_of_their_own_time(trained, make_store, runtime):
    store = make_store()
    (views,) = attend([trained], store, store.select("all")[:1], runtime, count=4)
    (batch,) = centre_clips(trained.config.data, store, store.select("all")[:1], runtime)
    np.testing.assert_array_equal(views[0].frames, batch.clips[0].numpy())
    inputs = trained.task.upright(batch, torch.float32)
    small = attention_maps(trained.network, inputs)
    large = torch.nn.functional.interpolate(small, (24, 24), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(views[0].maps[0], large[0], rtol=1e-5)


def test_pictures_of_differences_are_the_frames_that_are_subtracted(trained, make_store, runtime):
    store = make_store()
    data = replace(trained.config.data, modality="dif")
    different = replace(trained, config=replace(trained.config, data=data))
    videos = store.select("all")[:1]
    (views,) = attend([different], store, videos, runtime, count=4)
    (batch,) = centre_clips(data, store, videos, runtime)
    frames = views[0].frames.astype(np.int16)
    np.testing.assert_array_equal(batch.clips[0, :3].numpy(), frames[1:] - frames[:-1])
