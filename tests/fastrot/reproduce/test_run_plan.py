"""Plans: what is shared, what is told apart, what each shard gets."""

import dataclasses

import pytest

from benchmarks.harness.measure import Figure, Outcome, Result
from benchmarks.harness.session import save
from fastrot.commands.reproduce import TARGETS
from fastrot.config import from_mapping
from fastrot.reproduce.cost import read_rate, train_flop
from fastrot.reproduce.listing import count, item_lines, rows_of
from fastrot.reproduce.presets import Changes
from fastrot.reproduce.run_plan import (
    Measurement,
    Snapshot,
    TrainRun,
    deal,
    make_plan,
    measurement_id,
    run_id,
)
from fastrot.reproduce.settings import demo_setting, paper_setting, read_sizes
from fastrot.reproduce.stores import DemoSizes
from fastrot.reproduce.tables import BUILDERS
from pipelines.errors import FastrotError, UsageError


@pytest.fixture(scope="module")
def paper_preset(tmp_path_factory):
    return paper_setting(tmp_path_factory.mktemp("paper"), {}, None, Changes())


@pytest.fixture(scope="module")
def whole(paper_preset):
    return make_plan([BUILDERS[key](paper_preset.preset) for key in BUILDERS])


def test_every_target_has_a_builder():
    assert set(TARGETS) == set(BUILDERS)


# Typed from the paper once more, independently of fastrot.reproduce.paper.
ROWS = {
    "Table 1": ["Kinetics: UCF101 92.79, HMDB51 93.66", "MT: UCF101 93.21, HMDB51 89.88"],
    "Table 2": [
        "3DResNet (scratch): UCF101 42.5, HMDB51 17.0",
        "Ours (Kinetics): UCF101 62.9, HMDB51 33.7",
        "Ours (MT): UCF101 62.8, HMDB51 29.6",
    ],
    "Table 3": [
        "0, 90: UCF101 50.94",
        "90, 180, 270: UCF101 58.79",
        "0, 90, 180: UCF101 59.24",
        "0, 90, 180, 270: UCF101 62.9",
        "8 rotations, 45 apart: UCF101 57.0",
        "360, by regression: UCF101 60.9",
    ],
    "Table 4": [
        "0: UCF101 42.5, HMDB51 17.0",
        "100,000: UCF101 56.4, HMDB51 27.3",
        "200,000: UCF101 58.3, HMDB51 28.1",
        "400,000: UCF101 60.7, HMDB51 28.6",
        "All: UCF101 62.9, HMDB51 33.7",
    ],
    "Table 5": [
        "1: Scratch 8.33, 3DRotNet 15.0",
        "5: Scratch 15.2, 3DRotNet 31.5",
        "10: Scratch 19.9, 3DRotNet 40.4",
        "20: Scratch 21.7, 3DRotNet 47.1",
        "Full: Scratch 42.5, 3DRotNet 62.9",
    ],
    "Table 6": [
        "16-RGB: UCF101 62.9, HMDB51 33.7",
        "32-RGB: UCF101 64.5, HMDB51 34.3",
        "64-RGB: UCF101 66.4, HMDB51 37.4",
        "16-DIF: UCF101 70.8, HMDB51 40.0",
        "64-DIF: UCF101 73.4, HMDB51 42.0",
    ],
    "Table 7": [
        "C3D (Sport-1M), supervised: UCF101 82.3, HMDB51",
        "3DResNet-18 (Kinetics), supervised: UCF101 84.4, HMDB51 56.4",
        "P3D (Kinetics), supervised: UCF101 84.4, HMDB51",
        "ObjectPatch [47], 2D CNN: UCF101 42.7, HMDB51 15.6",
        "TemporalCoherency [30], 2D CNN: UCF101 45.4, HMDB51 15.9",
        "ShuffleLearn [29], 2D CNN: UCF101 50.9, HMDB51 19.8",
        "GeometryGuided [11], 2D CNN: UCF101 54.1, HMDB51 22.6",
        "AOT [49], 2D CNN: UCF101 55.3, HMDB51",
        "OPN [26], 2D CNN: UCF101 56.3, HMDB51 22.1",
        "CrossLearn [39], 2D CNN: UCF101 58.7, HMDB51 27.2",
        "O3N [10], 2D CNN: UCF101 60.3, HMDB51 32.5",
        "3D AE [22], 3D CNN: UCF101 48.7, HMDB51",
        "3D AE + future [22], 3D CNN: UCF101 50.1, HMDB51",
        "3D inpainting [22], 3D CNN: UCF101 50.9, HMDB51",
        "VideoGAN [43], 3D CNN: UCF101 52.1, HMDB51",
        "3DCubicPuzzle [22], 3D CNN: UCF101 65.8, HMDB51 33.7",
        "Ours-RGB: UCF101 66.0 (3 runs averaged), HMDB51 37.1 (3 runs averaged)",
        "Ours-DIF: UCF101 74.3 (3 runs averaged), HMDB51 42.5 (3 runs averaged)",
        "Ours-Fusion: UCF101 76.6 (3 runs averaged), HMDB51 47.0 (3 runs averaged)",
    ],
}


@pytest.mark.parametrize("table", list(ROWS))
def test_the_dry_run_of_the_paper_has_every_row(paper_preset, table):
    key = table.lower().replace(" ", "")
    title, *rows = rows_of((BUILDERS[key](paper_preset.preset),))
    assert title.startswith(table)
    found = [row.strip() for row in rows]
    for row in ROWS[table]:
        assert row in found
    if table != "Table 7":  # which has later numbers of others besides
        assert found == ROWS[table]


def ids(plan):
    return {run_id(run) for run in plan.runs}


def test_tables_share_their_runs(paper_preset, whole):
    preset = paper_preset.preset
    base = run_id(preset.pretrain("kinetics"))
    plans = {key: make_plan([BUILDERS[key](preset)]) for key in BUILDERS}
    for key in ("table1", "table2", "table3", "table4", "table5", "table6", "figure4a", "figure4b"):
        assert base in ids(plans[key])
    # Table 4's last row is Table 2's second: nothing but the three subsets is new, for both sets.
    assert len(ids(plans["table4"]) - ids(plans["table2"])) == 3 + 6
    # Table 7's first split is Table 6's longest clips: two more splits, two inputs, two sets.
    assert len(ids(plans["table7"]) - ids(plans["table6"])) == 8
    assert len(whole.runs) == len(ids(whole)) < sum(len(plan.runs) for plan in plans.values())


def test_a_run_comes_after_what_it_starts_from(whole):
    seen = set()
    for run in whole.runs:
        assert run.start is None or run_id(run.start.run) in seen
        seen.add(run_id(run))


def test_figure_4b_starts_from_checkpoints_that_are_kept(paper_preset):
    plan = make_plan([BUILDERS["figure4b"](paper_preset.preset)])
    steps = sorted(run.start.step for run in plan.runs if run.start and run.start.step)
    assert steps == [8_000, 24_000, 48_000, 72_000]
    train = plan.runs[0].config.train
    assert all(step % train.checkpoint_every == 0 for step in steps)
    assert train.keep * train.checkpoint_every == train.iterations == 104_000


def test_the_papers_settings_reach_the_runs(paper_preset):
    preset = paper_preset.preset
    run = preset.pretrain("kinetics", modality="dif", frames=64)
    data, train, optim = run.config.data, run.config.train, run.config.optim
    assert (data.frames, data.crop, train.batch, train.iterations) == (64, 112, 32, 104_000)
    assert (optim.lr, optim.step_size, optim.gamma) == (0.1, 24_000, 0.1)
    finetune = preset.finetune("hmdb51", run, split=3, modality="dif", frames=64)
    assert (finetune.config.data.split, finetune.config.data.frames) == ("train3", 64)
    assert (finetune.config.optim.lr, finetune.config.train.epochs) == (0.008, 100)
    assert preset.action(finetune).split == "test3"
    regress = preset.pretrain("kinetics", rotation="360").config.rotation
    assert regress.kind == "regress"


def test_the_papers_pretraining_costs_what_arithmetic_says(paper_preset):
    # 104,000 x 128 clips x 43.2 GFLOP = 575 PFLOP
    flop = train_flop(paper_preset.preset.pretrain("kinetics"), None)
    assert flop == pytest.approx(575e15, rel=0.01)


CONFIG = {
    "task": "rotation",
    "data": {"store": "a"},
    "train": {"iterations": 10},
}


def run_of(name="x", start=None, **changes):
    values = {
        key: dict(value) if isinstance(value, dict) else value for key, value in CONFIG.items()
    }
    for key, value in changes.items():
        values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
    return TrainRun(name, from_mapping(values), start)


def test_the_hash_knows_what_matters_and_nothing_else():
    base = run_id(run_of())
    assert run_id(run_of("other name", train={"log_every": 7}, data={"threads": 3})) == base
    for changes in (
        {"seed": 1},
        {"data": {"store": "b"}},
        {"data": {"videos": 5}},
        {"optim": {"lr": 0.2}},
        {"train": {"iterations": 11}},
        {"rotation": {"degrees": [0, 90]}},
        {"train": {"keep": 3}},
    ):
        assert run_id(run_of(**changes)) != base, changes
    assert run_id(run_of(start=Snapshot(run_of()))) != base
    assert run_id(run_of(start=Snapshot(run_of()))) != run_id(run_of(start=Snapshot(run_of(), 5)))
    assert run_id(run_of(start=Snapshot(run_of()))) != run_id(
        run_of(start=Snapshot(run_of(seed=1)))
    )


def test_measurements_are_told_apart_by_split_and_protocol():
    one = Measurement("action", Snapshot(run_of()), "a", "test1", 10)
    assert measurement_id(one) == measurement_id(dataclasses.replace(one))
    for changes in ({"split": "test2"}, {"clips": 3}, {"kind": "rotation"}, {"store": "b"}):
        assert measurement_id(dataclasses.replace(one, **changes)) != measurement_id(one)


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_shards_are_a_partition_and_evenly_loaded(paper_preset, whole, parts):
    weights = count(whole, paper_preset).weights()
    shares = deal(whole, weights, parts)
    assert len(shares) == parts
    assert sum(len(share) for share in shares) == len(whole.runs)
    assert set().union(*shares) == ids(whole)
    level = [run_id(run) for run in whole.runs if run.level == 0]
    loads = [sum(weights[key] for key in level if key in share) for share in shares]
    largest = max(weights[key] for key in level)
    assert max(loads) - min(loads) <= largest


def test_the_demo_fits_its_budget(tmp_path):
    from fastrot.reproduce.cost import cpu_rate
    from fastrot.reproduce.listing import hours

    setting = demo_setting(tmp_path, DemoSizes(), None, Changes())
    items = tuple(BUILDERS[key](setting.preset) for key in BUILDERS)
    costs = count(make_plan(items), setting)
    assert costs.complete
    assert 60 * hours(costs, cpu_rate(), overhead=True) < 82  # of 90: making the videos takes some
    for item in items:
        alone = 60 * hours(count(make_plan([item]), setting), cpu_rate(), overhead=True)
        assert alone < 17, item.key
    assert not any("or more" in line for line in item_lines(items, setting, cpu_rate()))


def test_tables_2_and_5_of_the_demo_have_several_seeds(tmp_path):
    preset = demo_setting(tmp_path, DemoSizes(), None, Changes()).preset
    for key, several in (("table2", 3), ("table5", 3), ("table4", 1), ("figure4a", 1)):
        assert {len(entry.ours) for entry in BUILDERS[key](preset).entries} == {several}


def test_changes_reach_the_runs_of_their_stage(tmp_path):
    changes = Changes(pretrain=("optim.lr=0.3",), finetune=("train.epochs=3",))
    preset = paper_setting(tmp_path, {}, None, changes).preset
    base = preset.pretrain("kinetics")
    assert base.config.optim.lr == 0.3
    finetune = preset.finetune("ucf101", base).config
    assert (finetune.optim.lr, finetune.train.epochs) == (0.008, 3)


def test_wrong_stores_and_sizes_are_named(tmp_path):
    with pytest.raises(UsageError, match="imagenet"):
        paper_setting(tmp_path, {"imagenet": "x"}, None, Changes())
    with pytest.raises(UsageError, match=r"demo\.unlabeled"):
        read_sizes({"unlabeled": "4"})
    with pytest.raises(UsageError, match=r"demo\.frames"):
        read_sizes({"frames": "-4"})
    assert read_sizes({"frames": "70"}).frames == 70


def test_a_rate_is_a_number_or_a_benchmarks_file(tmp_path):
    assert read_rate("400").tflops == 400
    file = tmp_path / "train.json"
    slow, fast, peak = (
        Outcome(name, figures={"tflop_per_s": Figure.of([rate])})
        for name, rate in (("slow", 3.0), ("fast", 5.0), ("matmul", 900.0))
    )
    save(file, {}, [Result("train", {}, [slow, fast, Outcome("gone")], [peak])], took_s=1)
    rate = read_rate(str(file))
    assert rate.tflops == 5  # the matrix product's 900 is no training
    # 5e12 FLOP a second are 18e15 an hour
    assert rate.hours(18e15) == pytest.approx(1.0)
    with pytest.raises(UsageError, match="neither a number"):
        read_rate(str(tmp_path / "none.json"))
    file.write_text("{}")
    with pytest.raises(FastrotError, match="no training rates"):
        read_rate(str(file))
