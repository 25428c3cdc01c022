import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.acceptance import findings as acceptance_page
from benchmarks.acceptance import parts as acceptance
from benchmarks.harness.measure import Figure, Goal, Outcome, Result
from benchmarks.harness.processes import Ended

SCRIPT = Path(acceptance.__file__).with_name("__main__.py")


@pytest.mark.skipif(torch.cuda.is_available(), reason="tests what happens without a GPU")
def test_without_a_gpu_it_ends_well_and_says_so_for_each_part(tmp_path):
    # From another folder, as a file.
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path / "found")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "found" / "acceptance.json").read_text())
    assert next(iter(content)) == "environment"
    assert content["environment"]["packages"]["torch"] == torch.__version__
    assert set(content["parts"]) == {"tests", "rotation", "train", "loader"}
    assert {part["status"] for part in content["parts"].values()} == {"no GPU"}
    page = (tmp_path / "found" / "acceptance.txt").read_text()
    for name in content["parts"]:
        assert f"{name}: no GPU" in page
    assert page.strip() == done.stdout.strip()


def figure(value):
    return Figure.of([value])


def train_result(**ms):
    cases = [Outcome(name, figures={"ms_per_step": figure(value)}) for name, value in ms.items()]
    return Result("train", {}, cases, goals=[Goal("share of the matmul peak", 0.4, 0.5)])


@pytest.fixture
def with_gpu(monkeypatch):
    monkeypatch.setattr(acceptance, "has_gpu", lambda: True)
    monkeypatch.setattr(acceptance, "environment", lambda: {"device": "a GPU"})


def test_a_part_that_breaks_leaves_the_others(with_gpu, monkeypatch, tmp_path):
    def run_measure(name, seconds, out, *, quick):
        if name == "rotation":
            raise RuntimeError("an illegal memory access")
        found = train_result(**{"fastrot": 15.0, "real data: raw": 16.0, "real data: mjpeg": 18.0})
        return {"status": "done", "result": found.to_json()}

    monkeypatch.setattr(acceptance, "run_measure", run_measure)
    monkeypatch.setattr(
        acceptance,
        "run_tests",
        lambda seconds, out: {
            "status": "done",
            "tests": {"passed": 3},
            "failures": {},
            "left_out": {"NVIDIA DALI": 2},
        },
    )
    assert acceptance.main(["--out", str(tmp_path)]) == 1
    content = json.loads((tmp_path / "acceptance.json").read_text())
    assert "an illegal memory access" in content["parts"]["rotation"]["error"]
    assert "Traceback" in content["parts"]["rotation"]["error"]
    assert content["parts"]["train"]["status"] == "done"
    # 104,000 steps of 18 ms are 31.2 minutes.
    assert content["projection"]["minutes"]["real data: mjpeg"] == pytest.approx(31.2)
    assert content["projection"]["goal"]["met"] is False
    page = (tmp_path / "acceptance.txt").read_text()
    assert "| share of the matmul peak | 0.4 | at least 0.5 | no |" in page
    assert "| real data: mjpeg | 31.2 |" in page
    assert "RuntimeError: an illegal memory access" in page
    assert "tests: 2 tests or files of tests that need NVIDIA DALI" in page


def test_the_projection_needs_both_stores():
    part = {"result": train_result(**{"fastrot": 15.0, "real data: raw": 16.0}).to_json()}
    assert acceptance_page.project(part)["goal"]["value"] is None
    assert acceptance_page.project({"status": "failed"})["minutes"] == {}


def test_what_could_not_run_is_named():
    cases = [Outcome("h264", not_here="no NVDEC"), Outcome("vp9", not_reached="no time")]
    content = {
        "parts": {
            "loader": {"status": "done", "result": Result("loader", {}, cases).to_json()},
            "tests": {"status": "skipped", "error": "pytest is not installed"},
        }
    }
    assert acceptance_page.left_out(content, {"apex": "its FusedSGD"}) == [
        "apex is not installed: its FusedSGD",
        "loader, h264: no NVDEC",
        "loader, vp9: no time",
        "tests: pytest is not installed",
    ]


JUNIT = """<testsuites><testsuite>
<testcase classname="a" name="passes"/>
<testcase classname="a" name="skips"><skipped/></testcase>
<testcase classname="a" name="fails"><failure message="1 != 2">assert</failure></testcase>
<testcase classname="b" name="loads"><error message="fastrot.FastrotError: NVIDIA DALI cannot be imported
(No module named 'nvidia'): pip install">at</error></testcase>
<testcase classname="b" name="fails_under_dali"><failure message="1 != 2">dali.fn.crop</failure></testcase>
<testcase classname="" name="tests.c"><error message="collection failure">
E   ModuleNotFoundError: No module named 'sklearn.svm'</error></testcase>
<testcase classname="" name="tests.d"><error message="collection failure">
E   ModuleNotFoundError: No module named 'fastrot.gone'</error></testcase>
</testsuite></testsuites>"""


def test_junit_counts(tmp_path):
    file = tmp_path / "tests.xml"
    file.write_text(JUNIT)
    everything = acceptance.read_junit(file, lambda module: True)
    assert everything["tests"] == {"passed": 1, "failed": 5, "skipped": 1}
    assert everything["left_out"] == {}
    nothing = acceptance.read_junit(file, lambda module: False)
    assert nothing["tests"] == {"passed": 1, "failed": 3, "skipped": 1}
    assert set(nothing["failures"]) == {"a.fails", "b.fails_under_dali", ".tests.d"}
    assert nothing["left_out"] == {"NVIDIA DALI": 1, "sklearn": 1}
    assert nothing["status"] == "failed"


def test_a_file_that_cannot_be_read_leaves_the_other_tests(monkeypatch, tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "setup.cfg").write_text("[tool:pytest]\nmarkers =\n    gpu: needs one\n")
    (tmp_path / "tests" / "test_a.py").write_text("import no_such_package_for_developers\n")
    (tmp_path / "tests" / "test_b.py").write_text(
        "import pytest\n@pytest.mark.gpu\ndef test_b():\n    pass\n"
    )
    monkeypatch.setattr(acceptance, "ROOT", tmp_path)
    found = acceptance.run_tests(120, tmp_path)
    assert found["tests"] == {"passed": 1, "failed": 0, "skipped": 0}
    assert found["left_out"] == {"no_such_package_for_developers": 1}
    assert found["status"] == "done"


def test_an_installed_package_has_no_tests_beside_it(monkeypatch, tmp_path):
    monkeypatch.setattr(acceptance, "ROOT", tmp_path)
    found = acceptance.run_tests(60, tmp_path)
    assert found == {"status": "skipped", "error": "no tests next to the package"}


def test_what_a_part_had_when_it_was_stopped_is_shown(monkeypatch, tmp_path):
    def stopped(*_, **__):
        kept = train_result(fastrot=15.0).to_json()
        (tmp_path / "train.json").write_text(json.dumps(kept))
        return Ended(None, "", "last words of the part")

    monkeypatch.setattr(acceptance, "run_limited", stopped)
    found = acceptance.run_part("train", 60, tmp_path)
    assert found["status"] == "failed"
    assert "not done after 60 s" in found["error"]
    assert acceptance_page.project(found)["minutes"]["fastrot"] == pytest.approx(26)


def test_a_part_keeps_what_it_has_before_its_end(monkeypatch, tmp_path):
    def measured(options, *, budget_s):
        options.keep(train_result(fastrot=15.0))
        raise MemoryError

    monkeypatch.setitem(acceptance.MEASURES, "train", measured)
    with pytest.raises(MemoryError):
        acceptance.measure("train", tmp_path / "train.json", budget_s=5)
    kept = json.loads((tmp_path / "train.json").read_text())
    assert kept["cases"][0]["figures"]["ms_per_step"]["median"] == 15


def test_a_part_that_hangs_is_a_failure_that_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(
        acceptance, "run_limited", lambda *_, **__: Ended(None, "", "last words of the part")
    )
    found = acceptance.run_part("train", 60, tmp_path)
    assert found["status"] == "failed"
    assert "not done after 60 s" in found["error"]
    assert "last words of the part" in found["error"]
