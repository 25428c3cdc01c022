"""Grey, gain and polarity, against formulas in numpy."""

import numpy as np
import pytest
import torch

from pipelines.loading.appearance import Appearance, change_in_place, changed

GREY = np.array([True, False, True, False, True])
FACTOR = np.array([0.6, 1.7, 1, 1, -1.3], dtype=np.float32)


def clips(modality):
    rng = np.random.default_rng(0)
    low, dtype = (0, np.uint8) if modality == "rgb" else (-255, np.int16)
    return rng.integers(low, 256, (5, 6, 6, 7, 3)).astype(dtype)


def by_hand(before):
    """Return what the pixels should be, unrounded."""
    pixels = before.astype(np.float64)
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    pixels[GREY] = luma[GREY][..., None]
    pixels *= FACTOR.astype(np.float64)[:, None, None, None, None]
    return np.clip(pixels, 0 if before.dtype == np.uint8 else -255, 255)


@pytest.mark.parametrize("modality", ["rgb", "dif"])
def test_both_ways_are_the_formula_rounded(modality):
    before = torch.from_numpy(clips(modality))
    of_gpu, of_cpu = changed(before.clone(), GREY, FACTOR), before.clone()
    change_in_place(of_cpu, GREY, FACTOR)
    for found in (of_gpu, of_cpu):
        assert found.dtype == before.dtype
        assert np.abs(found.numpy() - by_hand(before.numpy())).max() <= 0.5 + 1e-4
        np.testing.assert_array_equal(found[3], before[3])  # neither grey nor a factor
        assert (found[0] == found[0][..., :1]).all()


@pytest.mark.parametrize("modality", ["rgb", "dif"])
def test_a_view_that_is_not_contiguous_is_changed_too(modality):
    """As mjpeg's DIF clips on a GPU, whose last frame is cut off."""
    before = torch.from_numpy(clips(modality))
    found = changed(before[:, :1], GREY, FACTOR)
    torch.testing.assert_close(found, changed(before, GREY, FACTOR)[:, :1], rtol=0, atol=0)


def test_choices_follow_their_law_and_only_the_sample():
    appearance = Appearance(4, grey=0.3, gain=1.8, polarity=True)
    sample = np.arange(20_000)
    grey, factor = appearance.drawn(sample)
    error = 5 / np.sqrt(len(sample))
    assert abs(grey.mean() - 0.3) < error
    assert abs((factor < 0).mean() - 0.5) < error
    logs = np.log(np.abs(factor)) / np.log(1.8)
    assert -1 <= logs.min() < -0.99
    assert 0.99 < logs.max() <= 1.0001
    np.testing.assert_allclose(np.quantile(logs, [0.25, 0.5, 0.75]), [-0.5, 0, 0.5], atol=2 * error)
    draws = np.corrcoef([grey, factor < 0, logs]) - np.eye(3)
    assert np.abs(draws).max() < error
    for values, alone in zip((grey, factor), appearance.drawn(np.array([7, 19_999])), strict=True):
        np.testing.assert_array_equal(alone, values[[7, 19_999]])


def test_nothing_is_drawn_by_default():
    assert not Appearance(0).changes
    grey, factor = Appearance(0).drawn(np.arange(100))
    assert not grey.any()
    assert (factor == 1).all()
    for one in ({"grey": 0.1}, {"gain": 1.1}, {"polarity": True}):
        assert Appearance(0, **one).changes
