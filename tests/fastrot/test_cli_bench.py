"""``fastrot bench``, from the command line to the page."""

import json

import pytest

from benchmarks import loader
from fastrot.cli import main


def test_the_smallest_loader_benchmark_runs_to_its_page(tmp_path, capsys):
    figures = tmp_path / "figures.json"
    assert main(["bench", "loader", "--quick", "--budget", "600", "--json", str(figures)]) == 0
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
    assert "loader: goals" in capsys.readouterr().out


def test_a_benchmark_that_breaks_is_shown_and_gives_exit_code_1(tmp_path, capsys, monkeypatch):
    def broken(options, *, budget_s):
        raise MemoryError(f"no room in {budget_s:.0f} s")

    monkeypatch.setattr(loader, "run", broken)
    figures = tmp_path / "figures.json"
    assert main(["bench", "loader", "--budget", "7", "--json", str(figures)]) == 1
    assert "failed: MemoryError: no room in 7 s" in capsys.readouterr().out
    (result,) = json.loads(figures.read_text())["results"]
    assert result["cases"][0]["figures"] == {}


@pytest.mark.parametrize("budget", ["0", "-3", "nan"])
def test_a_budget_is_a_positive_number(budget, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "all", "--budget", budget])
    assert "not a positive number of seconds" in capsys.readouterr().err


def test_a_report_of_another_file_is_refused(tmp_path, capsys):
    (tmp_path / "other.json").write_text("{}")
    assert main(["bench", "report", str(tmp_path / "other.json")]) == 1
    assert "holds no figures" in capsys.readouterr().err
