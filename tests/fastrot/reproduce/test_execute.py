"""Executing plans: runs are found by hash, resumed after a kill and shared; a failure affects little else."""

import dataclasses
import json
import os
import shutil
import signal

import pytest

from fastrot.data.selection import digest
from fastrot.reproduce import execute
from fastrot.reproduce.content_hash import ByContent
from fastrot.reproduce.execute import Workshop, carry_out, torchrun_command
from fastrot.reproduce.run_plan import Measurement, Plan, Snapshot, TrainRun, run_id
from fastrot.training.run import train
from fastrot.training.trainer import Trainer
from pipelines.errors import FastrotError
from pipelines.store.reading import Store
from tests.pipelines.store.old_formats import of_format


@pytest.fixture
def trained(monkeypatch):
    """Count what is trained, in order."""
    names = []

    def counting(config, **options):
        names.append(config.name.rpartition("-")[0])
        return train(config, **options)

    monkeypatch.setattr(execute, "train", counting)
    return names


@pytest.fixture
def plan(bench, one_thread):
    first = bench.run(0, task="rotation")
    second = dataclasses.replace(bench.run(1, Snapshot(first)), name="second")
    third = dataclasses.replace(bench.run(2), name="third")
    measured = Measurement("action", Snapshot(second), bench.store, "test1", 2)
    turned = Measurement("rotation", Snapshot(first), bench.store, "test1", 1)
    return Plan((), (first, third, second), (measured, turned))


def test_a_plan_is_carried_out_once(bench, plan, trained):
    assert carry_out(plan, bench.workshop) == []
    assert trained == ["run-0", "third", "second"]
    results = bench.workshop.results(plan.measurements[0])
    assert results["protocol"]["videos"] == 2
    assert bench.workshop.results(plan.measurements[1])["clips"] == 2
    folder = bench.workshop.run_folder(plan.runs[2])
    config = json.loads((folder / "finished.json").read_text())["config"]
    assert "run-0" in config["init"]
    assert carry_out(plan, Workshop(bench.workshop.out)) == []
    assert len(trained) == 3


def test_a_run_is_found_under_another_name_and_a_moved_store(bench, plan, trained, tmp_path):
    carry_out(plan, bench.workshop)
    moved = tmp_path / "moved"
    shutil.copytree(bench.store, moved)
    config = plan.runs[1].config
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, store=str(moved)))
    renamed = dataclasses.replace(plan.runs[1], name="renamed", config=config)
    assert run_id(renamed) != run_id(plan.runs[1])  # by path they differ, by content not
    assert Workshop(bench.workshop.out).is_finished(renamed)


def test_runs_do_not_depend_on_the_format_of_their_store(bench, plan, tmp_path):
    run, store = plan.runs[1], tmp_path / "old"
    shutil.copytree(bench.store, store)
    data = dataclasses.replace(run.config.data, store=str(store))
    moved = dataclasses.replace(run, config=dataclasses.replace(run.config, data=data))
    for number in (2, 1):
        assert of_format(Store.open(store), number).settings.format == number
        workshop = Workshop(bench.workshop.out)
        assert workshop.run_folder(moved) == workshop.run_folder(run)


def test_other_videos_are_another_run(bench, plan, tmp_path):
    moved = tmp_path / "changed"
    shutil.copytree(bench.store, moved)
    manifest = moved / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    for line in lines:
        line["crc32"] ^= 1
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = plan.runs[1]
    data = dataclasses.replace(run.config.data, store=str(moved))
    other = dataclasses.replace(run, config=dataclasses.replace(run.config, data=data))
    assert bench.workshop.run_folder(other) != bench.workshop.run_folder(run)


def test_runs_are_told_from_those_in_which_short_videos_looped(bench):
    store = Store.open(bench.store)  # its shortest video has 12 frames, in train1
    identity = ByContent()
    train, test = store.select("train1"), store.select("test1")

    def data(**changes):
        return dataclasses.replace(bench.run().config.data, **changes)

    def of_run(**changes):
        return identity.of_run(dataclasses.replace(bench.run().config, data=data(**changes)))

    assert of_run(frames=12) == digest(store, train)  # as it always was
    assert of_run(frames=13) == [digest(store, train), "reflect"]
    assert of_run(frames=12, modality="dif") == [digest(store, train), "reflect"]  # of 13 frames
    assert identity.of_split(bench.store, "test1", data(frames=20)) == digest(store, test)
    assert identity.of_split(bench.store, "test1", data(frames=64)) == [
        digest(store, test),
        "reflect",
    ]


def test_a_killed_plan_goes_on(bench, plan, trained, monkeypatch):
    counting = getattr(execute, "train")  # noqa: B009  # what the fixture put there

    def killed(config, **options):
        if config.name.startswith("second"):
            raise KeyboardInterrupt
        return counting(config, **options)

    monkeypatch.setattr(execute, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        carry_out(plan, bench.workshop)
    assert trained == ["run-0", "third"]
    monkeypatch.setattr(execute, "train", counting)
    assert carry_out(plan, Workshop(bench.workshop.out)) == []
    assert trained == ["run-0", "third", "second"]
    assert Workshop(bench.workshop.out).results(plan.measurements[0]) is not None


def test_a_run_killed_in_the_middle_goes_on_from_its_checkpoint(bench, one_thread, monkeypatch):
    steps = []
    advance = Trainer.advance

    def counting(self, batches):
        advance(self, batches)
        steps.append(self.step)
        if len(steps) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "advance", counting)
    config = bench.run(task="rotation").config
    longer = dataclasses.replace(config, train=dataclasses.replace(config.train, iterations=5))
    plan = Plan((), (TrainRun("long", longer),), ())
    with pytest.raises(KeyboardInterrupt):
        carry_out(plan, bench.workshop)
    assert steps == [1, 2]
    assert not bench.workshop.is_finished(plan.runs[0])
    assert carry_out(plan, Workshop(bench.workshop.out)) == []
    assert steps == [1, 2, 3, 4, 5]


def test_a_failed_run_takes_along_what_starts_from_it(bench, plan, trained, monkeypatch):
    counting = getattr(execute, "train")  # noqa: B009  # what the fixture put there

    def failing(config, **options):
        if config.name.startswith("run-0"):
            raise FastrotError("no luck")
        return counting(config, **options)

    monkeypatch.setattr(execute, "train", failing)
    left = carry_out(plan, bench.workshop)
    assert trained == ["third"]
    assert left[0] == "run-0: no luck"
    assert "waiting for run-0" in left[1]


def test_a_share_does_its_own_and_waits_for_others(bench, plan, trained):
    first, third, second = plan.runs
    left = carry_out(plan, bench.workshop, share={run_id(second)})
    assert trained == []
    assert "waiting for run-0" in left[0]
    assert carry_out(plan, bench.workshop, share={run_id(first), run_id(third)}) == []
    assert carry_out(plan, bench.workshop, share={run_id(second)}) == []
    assert trained == ["run-0", "third", "second"]


def test_torchrun_resumes_the_run_by_the_command_of_its_task(bench, tmp_path):
    command = torchrun_command(bench.run(task="rotation").config, tmp_path / "c.yaml", 8)
    assert command[:3] == ["torchrun", "--standalone", "--nproc-per-node=8"]
    assert command[3:6] == ["-m", "fastrot", "pretrain"]
    assert command[-1] == "--resume"
    assert torchrun_command(bench.run().config, tmp_path / "c.yaml", 2)[5] == "finetune"
