"""Plans: which runs are shared, which are distinct, and what each shard gets."""

import dataclasses
import re
from pathlib import Path

import pytest

from fastrot.commands.reproduce import STUDIES as COMMAND_STUDIES
from fastrot.commands.reproduce import TARGETS
from fastrot.config import from_mapping
from fastrot.reproduce.cost import cpu_rate
from fastrot.reproduce.listing import count, hours, item_lines
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
from fastrot.reproduce.tables import BUILDERS, STUDIES, items_of
from pipelines.errors import UsageError


@pytest.fixture(scope="module")
def whole(paper_preset):
    return make_plan([BUILDERS[key](paper_preset.preset) for key in BUILDERS])


def test_every_target_has_a_builder():
    assert set(TARGETS) == set(BUILDERS)
    assert set(COMMAND_STUDIES) == set(STUDIES)


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


def test_runs_without_the_younger_keys_keep_their_hashes():
    # Hashed by the last version whose schema had none of these keys.
    assert run_id(run_of()) == "dcb925e952ce"
    for changes in (
        {"data": {"scale": [0.5, 1]}},
        {"data": {"aspect": [0.5, 2]}},
        {"data": {"grey": 0.5}},
        {"data": {"gain": 2}},
        {"data": {"modality": "dif", "polarity": True}},
        {"rotation": {"speeds": [1, 2]}},
        {"rotation": {"speeds": [1, 2], "speed_weight": 2}},
    ):
        assert run_id(run_of(**changes)) != run_id(run_of()), changes
    weights = [run_of(rotation={"speeds": [1, 2], "speed_weight": weight}) for weight in (1, 2)]
    assert run_id(weights[0]) != run_id(weights[1])
    assert run_id(run_of(data={"modality": "dif", "polarity": True})) != run_id(
        run_of(data={"modality": "dif"})
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


@pytest.mark.slow
def test_the_demo_takes_the_planned_time(tmp_path):
    setting = demo_setting(tmp_path, DemoSizes(), None, Changes(), gpu=False)
    items = tuple(BUILDERS[key](setting.preset) for key in BUILDERS)

    def minutes(*chosen):
        costs = count(make_plan(chosen), setting)
        assert costs.complete
        return 60 * hours(costs, cpu_rate(2), overhead=True)

    page = (Path(__file__).parents[3] / "docs" / "reproducing.md").read_text()
    numbers = re.findall(r"planned (\d+) minutes", page)
    everything, table2, study = (int(number) for number in numbers)
    assert minutes(*items) == pytest.approx(everything, rel=0.05)
    assert minutes(BUILDERS["table2"](setting.preset)) == pytest.approx(table2, rel=0.05)
    assert minutes(*items) <= 130
    pretexts = minutes(*items_of(["pretexts"], setting.preset))
    assert pretexts == pytest.approx(study, rel=0.05)
    assert pretexts <= 115
    assert not any("or more" in line for line in item_lines(items, setting, cpu_rate(2)))


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
