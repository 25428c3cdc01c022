"""Measures of frames against loops over their pixels."""

import numpy as np
import pytest

from fastrot.analysis.cue_measures import MARGIN, border_steps, colour_planes, detail


def frames(count: int = 2, height: int = 9, width: int = 11) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_colours_are_those_of_jpeg() -> None:
    pictures = np.array([[[[255, 255, 255], [255, 0, 0], [0, 0, 255], [90, 90, 90]]]], np.uint8)
    planes = colour_planes(pictures)
    assert planes.shape == (1, 3, 1, 4)
    expected = [[255, 76.245, 29.07, 90], [0, -43.028, 127.5, 0], [0, 127.5, -20.734, 0]]
    np.testing.assert_allclose(planes[0, :, 0], expected, atol=1e-3)


def test_detail_is_the_mean_square_of_differences_inside() -> None:
    planes = frames().transpose(0, 3, 1, 2).astype(np.float32)
    found = detail(planes)
    assert found.shape == (2, 3, 2, 2)
    inner = planes[1, 2, MARGIN:-MARGIN, MARGIN:-MARGIN].astype(float)
    for order in (1, 2):
        for axis, lines in ((0, inner), (1, inner.T)):
            squares = [
                (line[i + 1] - line[i]) ** 2
                if order == 1
                else (line[i + 1] - 2 * line[i] + line[i - 1]) ** 2
                for line in lines
                for i in range(order - 1, len(line) - 1)
            ]
            assert found[1, 2, order - 1, axis] == pytest.approx(np.mean(squares), rel=1e-5)


def test_border_steps_are_mean_distances_of_lines() -> None:
    planes = frames().transpose(0, 3, 1, 2).astype(np.float32)
    found = border_steps(planes)
    picture = planes[1, 0].astype(float)

    def steps(lines: np.ndarray) -> list[float]:
        return [np.abs(lines[i + 1] - lines[i]).mean() for i in range(len(lines) - 1)]

    rows, columns = steps(picture), steps(picture.T)
    edges = [rows[0], rows[-1], columns[0], columns[-1]]
    np.testing.assert_allclose(found[1, 0, :, 0], edges, rtol=1e-5)
    inside = [np.mean(each[MARGIN:-MARGIN]) for each in (rows, rows, columns, columns)]
    np.testing.assert_allclose(found[1, 0, :, 1], inside, rtol=1e-5)


def test_a_line_at_the_border_is_no_detail() -> None:
    planes = frames().transpose(0, 3, 1, 2).astype(np.float32)
    lined = planes.copy()
    lined[..., 0, :] = lined[..., -1, :] = 1000
    np.testing.assert_array_equal(detail(lined), detail(planes))
    assert (border_steps(lined)[..., :2, 0] > border_steps(planes)[..., :2, 0]).all()
