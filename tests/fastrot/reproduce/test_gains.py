"""Differences between arms of runs, against hand computation."""

import json
import math

import pytest

from fastrot.evaluation.intervals import mean_of
from fastrot.reproduce.gains import average, gain, spreads_of
from fastrot.reproduce.measured import read_values
from fastrot.reproduce.run_plan import Entry, Measurement, Reading, Snapshot, Table
from fastrot.reproduce.statistics import Spread

BUDGET = (2, None, 0)  # of Bench.run


@pytest.fixture
def pretrained(bench):
    return Snapshot(bench.run(task="rotation"))


def compared(bench, ours, others, spreads=None):
    mine, theirs = (read_values(arm, bench.workshop) for arm in (ours, others))
    return gain(mine, theirs, spreads or {}, bench.workshop)


def test_runs_pair_by_their_seed_in_whatever_order(bench, pretrained):
    scratch = [bench.measured(percent, seed) for seed, percent in ((2, 60), (0, 20), (1, 40))]
    ours = [bench.measured(30 + 22 * seed, seed, start=pretrained) for seed in range(3)]
    # 30 - 20, 52 - 40, 74 - 60: mean 12, deviation 2; paired in the order of the lists: -30, 32, 34
    found = compared(bench, ours, scratch)
    assert found.values == pytest.approx((10, 12, 14))
    assert found.estimate.mean == pytest.approx(12)
    assert found.estimate.error == pytest.approx(2 / math.sqrt(3))
    assert found.estimate.freedom == 2
    assert found.compared == "pairs of runs"


def test_splits_pair_as_well(bench, pretrained):
    ours, others = (
        [
            bench.measured(base + k * k, 0, split=split, start=start)
            for k, split in enumerate(("all", "test1", "train1"))
        ]
        for base, start in ((50, pretrained), (40, None))
    )
    assert compared(bench, ours, others).values == pytest.approx((10, 10, 10))


def test_single_runs_are_compared_by_video(bench, pretrained):
    ours = [bench.answered("yyyyynnnny", 0, start=pretrained)]
    others = [bench.answered("yyyynnnnnn", 0)]
    # two of ten videos differ: mean 20 %, squares 2 * .8^2 + 8 * .2^2 = 1.6; / 9 / 10
    found = compared(bench, ours, others)
    assert found.estimate.mean == pytest.approx(20)
    assert found.estimate.error == pytest.approx(100 * math.sqrt(1.6 / 90))
    assert found.estimate.freedom == pytest.approx(9)
    assert found.compared == "pairs of test videos"
    # The known spread over seeds is added: 3^2 * (1 / 1 + 1 / 1).
    known = compared(bench, ours, others, {BUDGET: Spread(3.0, 5)})
    assert known.estimate.error == pytest.approx(math.sqrt(10000 * 1.6 / 90 + 18))
    parts = 10000 * 1.6 / 90, 18
    welch = sum(parts) ** 2 / (parts[0] ** 2 / 9 + parts[1] ** 2 / 5)
    assert known.estimate.freedom == pytest.approx(welch)


def test_a_single_run_is_compared_with_the_mean_over_a_baselines_seeds(bench, pretrained):
    ours = [bench.answered("yyyn", 0, start=pretrained)]
    others = [bench.answered("ynnn", 0), bench.answered("yynn", 1)]
    # by video: 0, 1/2, 1, 0
    expected = mean_of([0, 50, 100, 0])
    found = compared(bench, ours, others)
    assert found.estimate.mean == pytest.approx(expected.mean)
    assert found.estimate.error == pytest.approx(expected.error)
    known = compared(bench, ours, others, {BUDGET: Spread(4.0, 7)})
    assert known.estimate.error == pytest.approx(math.sqrt(expected.error**2 + 16 * 1.5))


def test_without_scores_single_runs_are_independent(bench, pretrained):
    found = compared(bench, [bench.measured(50, 0, start=pretrained)], [bench.measured(20, 0)])
    # sqrt(.5 * .5 / 100) = 5 %, sqrt(.2 * .8 / 100) = 4 %
    assert found.estimate.error == pytest.approx(math.sqrt(25 + 16))
    assert found.compared == "independent"


def test_the_spread_comes_from_cells_with_several_seeds_each_counted_once(bench):
    several = tuple(bench.measured(percent, seed) for seed, percent in enumerate((40, 44, 48)))
    splits = tuple(
        bench.measured(10 * k, 5, split=split) for k, split in enumerate(("all", "test1"))
    )
    cells = [Entry("a", "UCF101", None, several), Entry("b", "UCF101", None, several)]
    cells += [Entry("c", "UCF101", None, splits), Entry("d", "UCF101", None, several[:1])]
    found = spreads_of([Table("t", "t", cells), Table("u", "u", cells)], bench.workshop)
    assert found == {BUDGET: Spread(pytest.approx(4.0), 2)}
    # A single run: binomial error 4.9 % of 100 videos, and a deviation of 4 over seeds.
    single = average(read_values(several[:1], bench.workshop), found)
    assert single.error == pytest.approx(math.sqrt(0.4 * 0.6 / 100 * 10000 + 16))
    assert average(read_values(several[:1], bench.workshop), {}).freedom == math.inf


@pytest.fixture
def written(bench):
    """Return the reading of a pre-trained network's measurement with the given results."""

    def write(kind, key, at=None, results=None, **options):
        measurement = Measurement(
            kind, Snapshot(bench.run(task="rotation")), bench.store, "test1", 1
        )
        folder = bench.workshop.measurement_folder(measurement)
        folder.mkdir(parents=True, exist_ok=True)
        results = results | {"protocol": {"videos": 101}}
        (folder / "results.json").write_text(json.dumps(results))
        return measurement, lambda key, **changes: Reading(
            measurement, key, at, **{**options, **changes}
        )

    return write


def test_a_probe_is_compared_with_the_random_network_by_its_own_paired_error(bench, written):
    results = {
        "trained": [0.5, 0.6],
        "random": [0.5, 0.4],
        "difference_standard_error": [0.01, 0.03],
    }
    _, reading = written("probe", "trained", 1, results)
    found = compared(bench, [reading("trained")], [reading("random")])
    assert found.estimate.mean == pytest.approx(20)
    assert found.estimate.error == pytest.approx(3)
    assert found.estimate.freedom == 100


def test_an_error_clustered_by_video_is_used_if_the_file_has_it(bench, written):
    results = {"accuracy": 0.3, "accuracy_standard_error": 0.02, "mean_error": 40.0, "spare": 1.5}
    _, reading = written("rotation", "accuracy", None, results)
    (value,) = read_values([reading("accuracy")], bench.workshop)
    assert value.number == pytest.approx(30)
    assert value.error == pytest.approx((2, 100))
    (angle,) = read_values([reading("mean_error", error_key="spare", scale=1.0)], bench.workshop)
    assert (angle.number, angle.error) == (40, (1.5, 100))
    (bare,) = read_values([reading("mean_error", scale=1.0)], bench.workshop)
    assert bare.error is None
    old = {"accuracy": 0.3}
    _, reading = written("rotation", "accuracy", None, old)
    (value,) = read_values([reading("accuracy")], bench.workshop)
    assert value.error == pytest.approx((100 * math.sqrt(0.3 * 0.7 / 101), math.inf))
