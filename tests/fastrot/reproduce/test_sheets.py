"""Sheets of kernels and attention maps: which picture is where."""

import numpy as np
import pytest

from fastrot.analysis.attention import Rotated
from fastrot.reproduce.sheets import draw_attention, draw_kernels

pytest.importorskip("matplotlib.figure")

NAMES = ("3DRotNet", "supervised", "untrained")


def rotated(degrees, seed):
    random = np.random.default_rng(seed)
    return Rotated(
        degrees,
        (0, 2),
        random.integers(0, 256, (2, 9, 9, 3), dtype=np.uint8),
        tuple(random.random((2, 9, 9)).astype(np.float32) for _ in NAMES),
    )


def test_a_block_for_each_rotation_has_a_row_for_each_network_and_a_column_for_each_frame():
    views = [rotated(90 * at, at) for at in range(4)]
    figure = draw_attention(views, NAMES, "a video")
    assert [block.get_suptitle() for block in figure.subfigs] == ["0°", "90°", "180°", "270°"]
    for block, view in zip(figure.subfigs, views, strict=True):
        grid = np.array(block.axes).reshape(4, 2)
        for column in range(2):
            shown = [axes.images[0].get_array() for axes in grid[:, column]]
            np.testing.assert_array_equal(shown[0], view.frames[column])
            for heat, maps in zip(shown[1:], view.maps, strict=True):
                np.testing.assert_array_equal(heat, maps[column])
        assert [axes.get_title() for axes in grid[0]] == ["frame 1", "frame 3"]
        assert grid[-1, 0].get_xlabel() == "time →"
    labels = [axes.get_ylabel() for axes in figure.subfigs[0].axes[::2]]
    assert labels == ["RGB", *NAMES]


def test_the_maps_of_a_network_share_a_scale_over_the_sheet():
    views = [rotated(90 * at, at) for at in range(4)]
    figure = draw_attention(views, NAMES, "a video")
    for row in range(3):
        limits = {
            axes.images[0].get_clim()
            for block in figure.subfigs
            for axes in block.axes[2 * row + 2 : 2 * row + 4]
        }
        every = np.stack([view.maps[row] for view in views])
        assert limits == {(every.min(), every.max())}


def test_time_runs_along_the_strips_of_kernels():
    sheets = {name: np.zeros((20, 40, 3), np.uint8) for name in NAMES}
    figure = draw_kernels(sheets, "Figure 5")
    assert [axes.get_title() for axes in figure.axes] == list(NAMES)
    assert {axes.get_xlabel() for axes in figure.axes} == {"time →"}
