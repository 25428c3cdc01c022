"""torchrun's summary names the cause, read by torch's own code."""

import os
import subprocess
import sys

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from fastrot import cli
from fastrot.cli import main
from fastrot.distributed.error_file import record_error
from pipelines.errors import FastrotError, PreemptedError


def summary(path, code=1):
    """Return torchrun's summary of one failed process."""
    failure = ProcessFailure(local_rank=0, pid=1, exitcode=code, error_file=str(path))
    return ChildFailedError("fastrot", {0: failure}).format_msg()


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(path))
    return path


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (FastrotError("nowhere is not a store"), "fastrot: error: nowhere is not a store\n"),
        (PreemptedError(), "fastrot: preempted: a checkpoint was saved"),
        (KeyboardInterrupt(), "fastrot: interrupted"),
    ],
)
def test_an_expected_error_is_its_message(file, error, says):
    record_error(error)
    assert says in summary(file)
    assert "Traceback" not in summary(file)


def test_an_unexpected_error_has_its_traceback(file, monkeypatch):
    def fail(args):
        raise RuntimeError("CUDA error: an illegal memory access")

    monkeypatch.setattr("fastrot.commands.configs.built_in", lambda: fail(None))
    with pytest.raises(RuntimeError):
        main(["configs"])
    assert "RuntimeError: CUDA error: an illegal memory access" in summary(file)
    assert "in run\n" in summary(file)  # of the command


def test_main_records_what_it_reports(file, tmp_path, capsys):
    assert main(["store", "info", str(tmp_path / "nowhere")]) == 1
    assert "nowhere is not a store" in summary(file)
    assert "nowhere is not a store" in capsys.readouterr().err


def test_an_error_of_rank_3_is_recorded_although_rank_0_prints_it(
    file, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setattr(cli, "_FOR_RANK_0_S", 0.0)
    assert main(["prepare", ".", "--out", str(tmp_path / "s"), "--quality", "99"]) == 2
    assert not capsys.readouterr().err
    assert "--quality is 99" in summary(file, code=2)


@pytest.mark.parametrize("rank", ["0", "3"])
def test_a_usage_error_of_the_parser_is_recorded(file, rank, monkeypatch, capsys):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr(cli, "_FOR_RANK_0_S", 0.0)
    with pytest.raises(SystemExit, match="2"):
        main(["prepare", ".", "--out", "s", "--nonsense"])
    assert "fastrot: error: unrecognized arguments: --nonsense" in summary(file, code=2)


def test_a_file_that_cannot_be_written_hides_nothing(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "file" / "error.json"))
    assert main(["store", "info", str(tmp_path / "nowhere")]) == 1
    assert "nowhere is not a store" in capsys.readouterr().err


@pytest.mark.slow
def test_torchruns_summary_names_the_cause(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "fastrot"]
    done = subprocess.run(
        [*command, "store", "info", str(tmp_path / "nowhere")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 1
    root = done.stderr.split("Root Cause (first observed failure)")[1]
    assert "is not a store (no such folder)" in root
    assert "To enable traceback see" not in root
    assert "Traceback" not in root
