"""``fastrot doctor`` as people run it."""

import json
import re
import socket
import subprocess
import sys
import time

import pytest

from fastrot.cli import main
from fastrot.distributed.runtime import Runtime
from fastrot.doctor import diagnose, together
from fastrot.doctor.check import good
from fastrot.doctor.software import Software
from pipelines.errors import FastrotError
from tests.processes import fastrot_in_two


@pytest.fixture
def no_trials(monkeypatch):
    monkeypatch.setattr(diagnose, "try_codec", lambda codec: "")


def test_this_machine_can_train(make_store, no_trials, monkeypatch, capsys):
    monkeypatch.setattr(
        diagnose, "measure_disk", lambda store: diagnose_speed(bytes_per_s=1e9, clips_per_s=1e4)
    )
    assert main(["doctor", "--store", str(make_store("raw").path)]) == 0
    out = capsys.readouterr().out
    assert "training can run" in out
    for name in ("Python", "torch", "DALI", "driver", "apex", "memory", "open files", "disk"):
        assert name in out
    for name in ("/dev/shm", "memlock", " usable of "):
        assert name in out
    assert "10,000 clips/s" in out


def diagnose_speed(**values):
    from fastrot.doctor.disk import DiskSpeed

    return DiskSpeed(cached=False, **values)


def test_without_dali_training_stops(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    broken = Software(python=(3, 12, 1), packages={"torch": "2.13.0"}, errors={"dali": "no module"})
    monkeypatch.setattr(diagnose, "find_software", lambda: broken)
    assert main(["doctor", "--json"]) == 1
    out, told = capsys.readouterr()
    report = json.loads(out)
    assert "training cannot run" in told
    assert report["can_train"] is False
    (dali,) = [check for check in report["checks"] if check["name"] == "DALI"]
    assert (dali["status"], dali["stops"]) == ("missing", True)
    assert "pip install nvidia-dali" in dali["remedy"]
    # torchrun's summary names the cause too.
    cause = json.loads((tmp_path / "error.json").read_text())["message"]["message"]
    assert cause == f"fastrot: error: training cannot run: DALI: {dali['found']}"


def test_a_store_that_is_none_stops(tmp_path, no_trials, capsys):
    assert main(["doctor", "--store", str(tmp_path)]) == 1
    assert "is not a store" in capsys.readouterr().out


def test_without_torch_it_still_reports():
    code = """
import sys
sys.modules["torch"] = None
from fastrot.cli import main
sys.exit(main(["doctor"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "missing  torch " in done.stdout
    assert "STOPS TRAINING: pip install torch" in done.stdout
    assert "good     DALI" in done.stdout
    assert "training cannot run" in done.stdout


def test_processes_are_checked_together(tmp_path):
    """Rank 0 prints the checks of the machine once, and then what both processes measured."""
    out = fastrot_in_two("doctor", folder=tmp_path)
    assert len(re.findall(r"^good +Python ", out, re.MULTILINE)) == 1
    host = socket.gethostname()
    assert f"ranks           2 on 1 machine(s): {host} (2)\n" in out
    assert re.search(r"^(good|warning) +slowest rank +slowest is rank [01] ", out, re.MULTILINE)
    rate = r"all-reduce \d+\.\d\d GB/s, \d+\.\d\d ms for 8 bytes"
    assert re.search(rf" gloo +{rate}; slowest link rank [01] \({host}\) to rank [01]", out)
    assert out.index("open files") < out.index("checking 2 processes together") < out.index("gloo")
    assert out.count("training can run") == 1


def quickly(*_):
    return [good("host", "quickly checked")]


def slowly(*_):
    time.sleep(together.TIMEOUT_S + 2)
    return [good("host", "slowly checked")]


def fail(**_):
    raise FastrotError("process 1 on this machine has no GPU")


def _with_slow_checks():
    """Let the checks of a machine take longer than the processes may take to form a group."""
    _with_short_limit()
    diagnose.diagnose = slowly


def _with_short_limit():
    together.TIMEOUT_S = 5.0
    diagnose.diagnose = quickly


def _without_gpu():
    _with_short_limit()
    Runtime.start = fail


@pytest.mark.slow
def test_the_checks_of_a_machine_may_take_long(tmp_path):
    out = fastrot_in_two("doctor", folder=tmp_path, prepare=(_with_slow_checks, _with_short_limit))
    assert out.index("slowly checked") < out.index("ranks           2 on 1 machine(s)")
    assert "training can run" in out


@pytest.mark.slow
def test_rank_0_reports_although_another_process_fails_first(tmp_path):
    """torchrun stops rank 0 as soon as another process exits with an error."""
    prepare = (_with_short_limit, _without_gpu)
    out = fastrot_in_two("doctor", folder=tmp_path, prepare=prepare, codes=(1, 0))
    assert "fastrot: error: process 1 on this machine has no GPU (see docs/guides/hangs.md)" in out
    assert "cannot work together: rank 1 did not start within 5 s" in out
    assert "training cannot run" in out
