"""Plans in several processes: the same results, and what is left over is reported."""

import pytest

from fastrot.reproduce.execute import Workshop
from fastrot.reproduce.jobs import carry_out_in_jobs
from fastrot.reproduce.run_plan import (
    Entry,
    Measurement,
    Reading,
    Snapshot,
    Table,
    make_plan,
    run_id,
)


@pytest.fixture
def plan(bench):
    first = bench.run(seed=1, task="rotation")
    runs = [bench.run(seed=2, start=Snapshot(first)), bench.run(seed=3)]
    measured = [Measurement("action", Snapshot(run), bench.store, "test1", 1) for run in runs]
    entries = [
        Entry(f"{at}", "UCF101", None, (Reading(each, "video_top1"),))
        for at, each in enumerate(measured)
    ]
    return make_plan([Table("two", "Two", entries)])


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_plan_is_carried_out_in_two_processes(bench, plan, capsys):
    assert carry_out_in_jobs(plan, bench.workshop, 2) == []
    assert all(bench.workshop.is_finished(run) for run in plan.runs)
    assert all(bench.workshop.is_measured(each) for each in plan.measurements)
    assert "finished run-2" in capsys.readouterr().out
    times = {path: path.stat().st_mtime_ns for path in bench.workshop.out.rglob("*.json")}
    assert carry_out_in_jobs(plan, Workshop(bench.workshop.out), 2) == []
    assert {path: path.stat().st_mtime_ns for path in bench.workshop.out.rglob("*.json")} == times


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_failed_run_is_reported_and_the_others_continue(bench, plan):
    first = plan.runs[0]
    folder = bench.workshop.run_folder(first)
    folder.parent.mkdir(parents=True)
    folder.write_text("a file where the run's folder belongs")
    left = carry_out_in_jobs(plan, bench.workshop, 2)
    assert [line.partition(":")[0] for line in left if "waiting" not in line] == [first.name]
    assert [line for line in left if "waiting" in line] == [
        "run-2: waiting for run-1",
        "action-raw-test1-run-2: waiting for run-2",
    ]
    finished = {run.name for run in plan.runs if bench.workshop.is_finished(run)}
    assert finished == {"run-3"}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_share_leaves_the_runs_of_other_machines(bench, plan):
    second, third = (run_id(run) for run in plan.runs if run.name in ("run-2", "run-3"))
    assert carry_out_in_jobs(plan, bench.workshop, 2, {second, third}) == [
        "run-2: waiting for run-1",
        "action-raw-test1-run-2: waiting for run-2",
    ]
    done = {each.name for each in plan.runs if bench.workshop.is_finished(each)}
    done |= {each.name for each in plan.measurements if bench.workshop.is_measured(each)}
    assert done == {"run-3", "action-raw-test1-run-3"}
