"""The study of recipes: what is compared with what."""

import dataclasses
import json

import pytest

from fastrot.cli import main
from fastrot.config import DataConfig
from fastrot.demo import videos as demo_data
from fastrot.reproduce import stores as reproduce_data
from fastrot.reproduce.averages import fill_in
from fastrot.reproduce.run_plan import Difference, Entry, Reading, Table, run_id
from fastrot.reproduce.tables import pretexts

PLACES = {
    "static, 60 epochs": (225, "ucf101", "keep"),
    "static, 180 epochs": (675, "ucf101", "keep"),
    "horizon, 60 epochs": (225, "ucf101-horizon", "keep"),
    "moving, 60 epochs": (225, "ucf101-moving", "keep"),
    "moving, camera motion removed, 60 epochs": (225, "ucf101-moving", "remove"),
}


def runs_of(readings):
    return [reading.measurements[0].of.run for reading in readings]


def is_augmented(run):
    data, off = run.config.data, DataConfig()
    keys = ("scale", "aspect", "grey", "gain", "polarity")
    changed = [getattr(data, key) != getattr(off, key) for key in keys]
    assert all(changed) or not any(changed)
    return all(changed)


def store_of(run):
    return run.config.data.store.rpartition("/")[2]


def test_every_gain_is_over_scratch_by_the_same_recipe_in_pairs(demo_preset):
    found = {}
    for entry in pretexts.pretexts(demo_preset).entries:
        place, _, name = entry.row.partition(": ")
        found.setdefault(place, []).append(name)
        steps, store, camera = PLACES[place]
        mine = runs_of(entry.ours)
        assert len({(run.config.seed, run.config.data.split) for run in mine}) == 5
        for run, reading in zip(mine, entry.ours, strict=True):
            data = run.config.data
            assert (run.config.train.iterations, store_of(run), data.shots) == (steps, store, 5)
            assert data.camera_motion == camera
            (measurement,) = reading.measurements
            assert measurement.split == data.split.replace("train", "test")
            assert measurement.store == data.store
            if "scratch" in name:
                assert run.start is None
                assert is_augmented(run) == (name == "scratch, augmented")
        if "scratch" in name:
            assert not entry.against
            continue
        for run, other in zip(mine, runs_of(entry.against), strict=True):
            assert other.start is None
            assert other.config == run.config  # same videos, recipe, length, split and seed
    names = ["scratch", "paper", "speed", "scratch, augmented", "augmented", "both"]
    assert found == dict.fromkeys(PLACES, names)


def test_pretrainings_are_by_the_recipe_and_take_turns(demo_preset):
    plain = {seed: demo_preset.pretrain("kinetics", seed=seed) for seed in (0, 1)}
    for entry in pretexts.pretexts(demo_preset).entries:
        place, _, name = entry.row.partition(": ")
        if "scratch" in name:
            continue
        starts = [run.start.run for run in runs_of(entry.ours)]
        assert [start.config.seed for start in starts] == [0, 1, 0, 1, 0]
        for start in starts:
            assert is_augmented(start) == (name in ("augmented", "both"))
            assert start.config.rotation.speeds == ([1, 2, 3] if name in ("speed", "both") else [])
            assert store_of(start) == PLACES[place][1].replace("ucf101", "kinetics")
            assert start.config.data.camera_motion == PLACES[place][2]
            # The same number of clips in all recipes.
            assert start.config.train == dataclasses.replace(
                plain[1].config.train,
                checkpoint_every=start.config.train.checkpoint_every,
                keep=start.config.train.keep,
            )
        if entry.row == "static, 60 epochs: paper":  # the runs of Table 2
            expected = [run_id(plain[seed]) for seed in (0, 1, 0, 1, 0)]
            assert [run_id(start) for start in starts] == expected


def test_one_comparison_is_named_before_the_run(demo_preset):
    table = pretexts.compared(demo_preset)
    named = {entry.row for entry in table.entries if "main" in entry.row}
    assert named == {"static, 60 epochs: augmented (main comparison)"}
    (gain,) = [
        each for each in table.entries if each.row in named and each.column == "Gain over scratch"
    ]
    for arm, augmented in ((gain.ours, True), (gain.against, False)):
        for reading in arm:
            transfer, scratch = (each.of.run for each in reading.measurements)
            assert transfer.start is not None
            assert scratch.start is None
            assert is_augmented(transfer) == is_augmented(scratch) == augmented
    assert any("exploratory" in note for note in table.notes)
    for each in (table, pretexts.pretexts(demo_preset), pretexts.probed(demo_preset)):
        assert any("not independent" in note for note in each.notes)
        assert any("Ours, not the paper's" in note for note in each.notes)


def test_probes_are_pairs_beside_the_random_network(demo_preset):
    entries = pretexts.probed(demo_preset).entries
    probes = [entry for entry in entries if entry.against]
    assert len(probes) == 4 * 4 * 5
    for entry in probes:
        keys = {(reading.source.of.run.config.seed, reading.source.split) for reading in entry.ours}
        assert len(keys) == 5
        for ours, random in zip(entry.ours, entry.against, strict=True):
            assert ours.source is random.source
            assert (ours.key, random.key, ours.at) == ("trained", "random", random.at)
            assert (ours.source.shots, ours.source.train_split[5:]) == (5, ours.source.split[4:])


def test_the_papers_preset_studies_real_videos_only(paper_preset):
    rows = {entry.row for entry in pretexts.pretexts(paper_preset.preset).entries}
    assert {row.partition(":")[0] for row in rows} == {"UCF101, 100 epochs", "UCF101, 300 epochs"}


def test_a_gain_is_the_difference_of_two_measurements(bench):
    transfers = [bench.measured(percent, seed) for seed, percent in ((0, 50), (1, 70))]
    scratches = [bench.measured(percent, seed) for seed, percent in ((10, 40), (11, 45))]
    gains = tuple(
        Reading(Difference(ours.source, other.source), "video_top1")
        for ours, other in zip(transfers, scratches, strict=True)
    )
    table = Table("x", "x", [Entry("row", "Gain", None, gains)])
    (cell,) = fill_in(table, bench.workshop)
    assert [value.number for value in cell.values] == pytest.approx([10, 25])
    assert [value.seed for value in cell.values] == [0, 1]
    assert cell.ours.mean == pytest.approx(17.5)
    assert cell.ours.half_width == pytest.approx(
        12.7062 * 7.5, rel=1e-4
    )  # t(1) * 15 / sqrt(2) / sqrt(2)


TINY = [
    "pretrain:train.iterations=2",
    "train.batch=4",
    "model.width=2",
    "model.depth=10",
    "demo.unlabelled=4",
    "demo.groups=9",
    "demo.clips_per_group=1",
    "demo.frames=50",
    "demo.size=32",
    "--jobs",
    "1",
]


@pytest.mark.slow
def test_the_study_runs_and_is_found_again(one_thread, monkeypatch, tmp_path, capsys):
    for module in (demo_data, reproduce_data):
        monkeypatch.setattr(module, "cores", lambda: 1)
    scene = dataclasses.replace(pretexts.REMOVED, name="tiny", lengths=1)
    monkeypatch.setattr(pretexts, "SCENES", {"demo": (scene,)})
    monkeypatch.setattr(pretexts, "PAIRS", ((1, 0), (2, 1)))
    monkeypatch.setattr(pretexts, "LENGTHS", {"demo": {60: 2}})
    out = tmp_path / "out"
    command = ["reproduce", "pretexts", "--preset", "demo", "--out", str(out), *TINY]
    assert main(command) == 0
    tables = {
        key: json.loads((out / "tables" / f"{key}.json").read_text())["entries"]
        for key in ("pretexts", "pretexts-compared", "pretexts-probe")
    }
    top1 = {entry["row"].partition(": ")[2]: entry for entry in tables["pretexts"]}
    (main_row,) = [
        entry
        for entry in tables["pretexts-compared"]
        if "main" in entry["row"] and entry["column"] == "Gain over scratch"
    ]
    pairs = [
        [
            ours - scratch
            for ours, scratch in zip(top1[row]["values"], top1[base]["values"], strict=True)
        ]
        for row, base in (("augmented", "scratch, augmented"), ("paper", "scratch"))
    ]
    assert main_row["values"] == pytest.approx(pairs[0])
    assert main_row["gain_values"] == pytest.approx(
        [ours - paper for ours, paper in zip(*pairs, strict=True)]
    )
    random = [entry for entry in tables["pretexts-probe"] if "random" in entry["row"]]
    assert len(random) == 5
    assert all(entry["ours"] is not None for entry in tables["pretexts-probe"])
    before = sorted(out.glob("runs/*/finished.json"))
    capsys.readouterr()
    assert main(command) == 0
    assert sorted(out.glob("runs/*/finished.json")) == before
    assert len(before) == 8 + 2 * 6
    assert "steps/s" not in capsys.readouterr().out
