"""``fastrot bench``, from the command line to the page."""

import json

import pytest

from benchmarks import loader
from benchmarks.harness.measure import Outcome, Result
from fastrot.cli import main
from pipelines.errors import UsageError


@pytest.mark.slow
def test_the_smallest_loader_benchmark_runs_to_its_page(tmp_path, capsys):
    figures = tmp_path / "figures.json"
    assert main(["bench", "loader", "--quick", "--budget", "600", "--out", str(figures)]) == 0
    content = json.loads(figures.read_text())
    assert next(iter(content)) == "environment"
    (result,) = content["results"]
    cases = {case["name"]: case for case in result["cases"]}
    for name in ("fastrot, raw, rgb 4", "fastrot, mjpeg, dif 4", "PyAV + DataLoader, mjpeg, rgb 4"):
        assert cases[name]["failed"] is None
    measured = cases["fastrot, raw, rgb 4"]["figures"]
    assert set(measured) == {"clips_per_s", "frames_per_s", "cpu_ms_per_clip", "first_batch_s"}
    assert measured["clips_per_s"]["median"] > 0
    assert measured["frames_per_s"]["median"] == pytest.approx(
        4 * measured["clips_per_s"]["median"]
    )
    assert main(["bench", "report", str(figures), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "figures.md").read_text().startswith("# Benchmarks of ")
    out = capsys.readouterr().out
    assert "loader: limits" in out
    assert "--quick: these results are meaningless" in out


def test_a_benchmark_that_breaks_is_shown_and_gives_exit_code_1(tmp_path, capsys, monkeypatch):
    def broken(options, *, budget_s):
        raise MemoryError(f"no room in {budget_s:.0f} s")

    monkeypatch.setattr(loader, "run", broken)
    figures = tmp_path / "figures.json"
    assert main(["bench", "loader", "--budget", "7", "--out", str(figures)]) == 1
    assert "failed: MemoryError: no room in 7 s" in capsys.readouterr().out
    (result,) = json.loads(figures.read_text())["results"]
    assert result["cases"][0]["figures"] == {}


def small(name):
    return lambda options, *, budget_s: Result(name, {}, [Outcome(name, not_here="a test")])


def test_a_late_usage_error_leaves_the_results_of_the_others(tmp_path, capsys, monkeypatch):
    def wrong(options, *, budget_s):
        raise UsageError("train.compile is true, but there is no g++")

    for name in ("loader", "rotation", "train", "scaling", "startup"):
        run = wrong if name == "train" else small(name)
        monkeypatch.setattr(f"benchmarks.{name}.run", run)
    figures = tmp_path / "figures.json"
    assert main(["bench", "all", "--out", str(figures)]) == 1
    results = json.loads(figures.read_text())["results"]
    assert [one["benchmark"] for one in results][2:] == ["train", "scaling", "startup"]
    assert "no g++" in results[2]["cases"][0]["failed"]
    assert main(["bench", "train"]) == 2
    assert "no g++" in capsys.readouterr().err


def test_what_no_time_is_left_for_is_not_started(tmp_path, monkeypatch):
    for name in ("loader", "rotation", "train", "scaling", "startup"):
        monkeypatch.setattr(f"benchmarks.{name}.run", small(name))
    monkeypatch.setattr("benchmarks.harness.session.budget_of", lambda name, *_: 9 - len(name))
    figures = tmp_path / "figures.json"
    assert main(["bench", "all", "--out", str(figures)]) == 0
    cases = [one["cases"][0] for one in json.loads(figures.read_text())["results"]]
    assert [bool(case["not_reached"]) for case in cases] == [False, False, False, False, False]
    monkeypatch.setattr("benchmarks.harness.session.budget_of", lambda name, *_: 7 - len(name))
    assert main(["bench", "all", "--out", str(figures)]) == 0
    cases = [one["cases"][0] for one in json.loads(figures.read_text())["results"]]
    assert [bool(case["not_reached"]) for case in cases] == [False, True, False, True, True]


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(loader, "run", lambda *_, **__: pytest.fail("it was measured"))
    assert main(["bench", "loader", "--out", str(tmp_path)]) == 1
    assert f"{tmp_path} cannot be written: it is a folder" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--store", "s"], ["--input", "demo"]])
@pytest.mark.parametrize("name", ["rotation", "scaling"])
def test_options_that_nothing_reads_are_refused(name, option, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", name, *option])
    assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize("budget", ["0", "-3", "nan"])
def test_a_budget_is_a_positive_number(budget, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "all", "--budget", budget])
    assert "not a positive number of seconds" in capsys.readouterr().err


def test_a_report_of_another_file_is_refused(tmp_path, capsys):
    (tmp_path / "other.json").write_text("{}")
    assert main(["bench", "report", str(tmp_path / "other.json")]) == 1
    assert "contains no results of fastrot bench" in capsys.readouterr().err


def test_with_json_the_results_are_on_standard_output(capsys, monkeypatch):
    monkeypatch.setattr(loader, "run", small("loader"))
    assert main(["bench", "loader", "--json"]) == 0
    out, err = capsys.readouterr()
    content = json.loads(out)
    assert content["results"][0]["cases"][0]["not_here"] == "a test"
    assert "not here" in err


@pytest.mark.parametrize(
    ("words", "reason"),
    [(["--json", "x.json"], ", and --json takes no file"), (["x.json"], "")],
)
def test_a_word_without_its_option_is_refused(words, reason, capsys, monkeypatch):
    monkeypatch.setattr(loader, "run", lambda *_, **__: pytest.fail("it was measured"))
    assert main(["bench", "loader", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"x.json is no option{reason}: use --out x.json" in err
