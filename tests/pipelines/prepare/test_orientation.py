import itertools
import math

import numpy as np
import pytest
import torch

from pipelines.errors import FastrotError
from pipelines.loading.unprepared import ReaderLoader
from pipelines.plan import ClipSpec, WindowPlan
from pipelines.prepare.orientation import UPRIGHT, orientation_of_matrix
from tests.helpers import moving_frames, write_display_matrix, write_video
from tests.pipelines.prepare.frames import read_frames

SIGNS = (1, -1)
EIGHT = [(a, 0, 0, d) for a, d in itertools.product(SIGNS, SIGNS)]
EIGHT += [(0, b, c, 0) for b, c in itertools.product(SIGNS, SIGNS)]


def shown(picture, a, b, c, d):
    """Carry each pixel to where the matrix shows it: points are taken from the picture's centre."""
    height, width = picture.shape[:2]
    new_height, new_width = (height, width) if a else (width, height)
    result = np.zeros((new_height, new_width, 3), picture.dtype)
    for row, column in itertools.product(range(height), range(width)):
        x, y = column - (width - 1) / 2, row - (height - 1) / 2
        new_row = b * x + d * y + (new_height - 1) / 2
        new_column = a * x + c * y + (new_width - 1) / 2
        result[int(new_row), int(new_column)] = picture[row, column]
    return result


def nine(a, b, c, d):
    return tuple(round(value * 65536) for value in (a, b, 0, c, d, 0, 0, 0, 16384))


@pytest.mark.parametrize("matrix", EIGHT)
def test_all_eight_orientations_by_arithmetic(matrix):
    picture = np.arange(3 * 4 * 3, dtype=np.uint8).reshape(3, 4, 3)
    got = orientation_of_matrix(nine(*matrix)).apply(picture)
    np.testing.assert_array_equal(got, shown(picture, *matrix))


@pytest.mark.parametrize("matrix", EIGHT)
def test_files_are_stored_as_a_player_shows_them(tmp_path, matrix):
    path = write_video(tmp_path / "film.mp4", moving_frames(2, 48, 64))
    before, _, _ = read_frames(path, None, 40)
    write_display_matrix(path, *matrix)
    after, _, _ = read_frames(path, None, 40)
    np.testing.assert_array_equal(after, [shown(picture, *matrix) for picture in before])


@pytest.mark.parametrize("matrix", [*EIGHT[1:], (0.6, 0.8, -0.8, 0.6)])
def test_dalis_reader_refuses_every_matrix_that_it_does_not_apply(tmp_path, matrix):
    path = write_video(tmp_path / "film.mp4", moving_frames(20, 48, 64))
    write_display_matrix(path, *matrix)
    spec = ClipSpec(frames=5, stride=2, crop=49)
    with pytest.raises(
        FastrotError, match=r"film\.mp4: its display matrix rotates.*fastrot prepare"
    ):
        ReaderLoader(
            [path], WindowPlan(spec, 64, step=4, seed=0), batch=1, device=torch.device("cpu")
        ).close()


def test_scale_and_half_a_degree_do_not_matter():
    slightly = math.radians(0.5)
    turned = (math.cos(slightly), math.sin(slightly), -math.sin(slightly), math.cos(slightly))
    assert orientation_of_matrix(nine(*turned)) == UPRIGHT
    quarter = orientation_of_matrix(nine(0, 1, -1, 0))
    assert orientation_of_matrix(nine(0, 2.5, -0.5, 0)) == quarter


def test_a_matrix_that_maps_an_axis_to_nothing_is_ignored():
    assert orientation_of_matrix(nine(0, 0, 0, 0)) == UPRIGHT
    assert orientation_of_matrix(nine(1, 0, 0, 0)) == UPRIGHT


@pytest.mark.parametrize("matrix", [(0.6, 0.8, -0.8, 0.6), (1, 1, 0, 1), (1, 0, 1, 1)])
def test_other_angles_and_shears_are_refused(tmp_path, matrix):
    path = write_video(tmp_path / "film.mp4", moving_frames(2, 48, 64))
    write_display_matrix(path, *matrix)
    with pytest.raises(
        FastrotError, match=r"display matrix rotates it by \d+ degrees or shears it"
    ):
        read_frames(path, None, 40)
