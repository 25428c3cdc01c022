"""Figure 4 and the budget: what is drawn where, with fabricated numbers."""

import numpy as np
import pytest

from fastrot.evaluation.intervals import Estimate
from fastrot.reproduce.averages import Cell
from fastrot.reproduce.drawing import FROZEN_KEY, draw_against, draw_budget, draw_frozen
from fastrot.reproduce.run_plan import Entry
from fastrot.reproduce.tables.figures import FROZEN

pytest.importorskip("matplotlib.figure")

T2 = 4.302652729749462  # Student's t for 95 % and three values


def cell(row, column, mean, error=1.0, gain=None):
    estimate = None if mean is None else Estimate(mean, error, 3, 2)
    return Cell(Entry(row, column), estimate, None, gain and Estimate(gain, 2.0, 3, 2))


def drawn(axes):
    """Return the points of each series, and the lower and upper ends of its vertical bars."""
    found = []
    for series in axes.containers:
        points, _, bars = series
        ends = [segment[:, 1] for segment in bars[-1].get_segments()]
        found.append((np.array(points.get_xydata()), np.array(ends)))
    return found


@pytest.fixture
def budget():
    rows = (("200 steps", 40.0, 55.0), ("600 steps", 60.0, 69.0), ("1,800 steps", 80.0, 81.0))
    return [
        each
        for row, scratch, ours in rows
        for each in (
            cell(row, "Scratch", scratch),
            cell(row, "3DRotNet", ours, gain=ours - scratch),
        )
    ]


def test_the_budget_shows_both_arms_over_the_steps(budget):
    left, _ = draw_budget(budget, "a title").axes
    (scratch, bars), (ours, _) = drawn(left)
    np.testing.assert_allclose(scratch[:, 1], [40, 60, 80])
    np.testing.assert_allclose(ours[:, 1], [55, 69, 81])
    # Each point is nearer to its own number of steps than to the other arm's next one.
    for points in (scratch, ours):
        np.testing.assert_allclose(points[:, 0], [200, 600, 1800], rtol=0.04)
    np.testing.assert_allclose(bars[0], [40 - T2, 40 + T2])
    assert left.get_xscale() == "log"
    assert [label.get_text() for label in left.get_xticklabels()] == ["200", "600", "1,800"]
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["Scratch", "3DRotNet"]


def test_the_budgets_gain_has_its_own_interval_and_a_line_at_0(budget):
    _, right = draw_budget(budget, "a title").axes
    ((points, bars),) = drawn(right)
    np.testing.assert_allclose(points, [[200, 15], [600, 9], [1800, 1]])
    np.testing.assert_allclose(bars[2], [1 - 2 * T2, 1 + 2 * T2])
    flat = [line for line in right.lines if list(line.get_ydata()) == [0, 0]]
    assert len(flat) == 1
    assert right.get_xlabel() == "fine-tuning steps"


def test_a_budget_that_has_not_all_run_shows_what_there_is(budget):
    left, right = draw_budget([*budget[:2], cell("600 steps", "Scratch", None)], "a title").axes
    assert [len(points) for points, _ in drawn(left)] == [1, 1]
    assert [len(points) for points, _ in drawn(right)] == [1]


def test_figure_4b_has_points_with_intervals_and_no_line():
    cells = [
        cell("10 iterations", "Rotation accuracy", 50.0),
        cell("10 iterations", "UCF101 top-1", 30.0, error=2.0),
        cell("20 iterations", "Rotation accuracy", 60.0),
        cell("20 iterations", "UCF101 top-1", 31.0),
        cell("30 iterations", "Rotation accuracy", 61.0),
        cell("30 iterations", "UCF101 top-1", None),
    ]
    figure = draw_against(cells, "a title")
    (axes,) = figure.axes
    (first, bars), (second, _) = drawn(axes)
    np.testing.assert_allclose(first, [[50, 30]])
    np.testing.assert_allclose(second, [[60, 31]])
    np.testing.assert_allclose(bars[0], [30 - 2 * T2, 30 + 2 * T2])
    across = axes.containers[0][2][0].get_segments()[0][:, 0]
    np.testing.assert_allclose(across, [50 - T2, 50 + T2])
    assert all(series[0].get_linestyle() == "None" for series in axes.containers)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["10 iterations", "20 iterations"]


def test_figure_4a_explains_its_ticks_and_separates_its_bars():
    cells = [cell(row, column, 50.0) for row in FROZEN for column in ("UCF101", "HMDB51")]
    (axes,) = draw_frozen(cells, "a title").axes
    assert axes.get_xlabel() == FROZEN_KEY
    (one, _), (other, _) = drawn(axes)
    assert (np.abs(one[:, 0] - other[:, 0]) > 0.1).all()
    np.testing.assert_array_equal(one[:, 0].round(), range(6))
    assert axes.get_xticklabels()[1].get_text() == ">C2\n(C1)"


def test_every_title_says_what_the_bars_are_and_fits(budget):
    title = (
        "Figure 4b: rotation accuracy and action accuracy during pre-training (generated videos)"
    )
    lines = draw_budget(budget, title).get_suptitle().split("\n")
    assert lines[-1] == "bars: 95 % intervals"
    assert " ".join(lines[:-1]) == title
    assert max(map(len, lines)) <= 68
