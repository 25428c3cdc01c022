"""With ``--json`` standard output is one JSON value, whatever else is printed by whichever process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastrot.terminal import console
from fastrot.terminal.json_output import json_output


def test_only_the_value_is_on_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    with json_output(True) as emit:
        print("by print")
        console.say("by the console")
        subprocess.run([sys.executable, "-c", "print('by another process')"], check=True)
        emit({"folder": Path("runs/x"), "loss": 0.5})
    print("after")
    out, err = capfd.readouterr()
    value, rest = out.splitlines()
    assert json.loads(value) == {"folder": "runs/x", "loss": 0.5}
    assert rest == "after"
    assert set(err.splitlines()) == {"by print", "by the console", "by another process"}


def test_what_c_libraries_still_hold_is_not_on_standard_output() -> None:
    """To a pipe the C library prints late: when its buffer is full, or the process ends."""
    code = """
import ctypes
from fastrot.terminal.json_output import json_output
with json_output(True) as emit:
    ctypes.CDLL(None).puts(b"by C")
    emit(1)
"""
    unset = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=unset
    )
    assert (done.stdout, done.stderr) == ("1\n", "by C\n")


def test_numbers_that_json_does_not_have_are_null(capfd: pytest.CaptureFixture[str]) -> None:
    with json_output(True) as emit:
        emit({"loss": float("nan"), "rates": [float("inf"), -float("inf"), 0.5]})
    assert capfd.readouterr().out == '{"loss": null, "rates": [null, null, 0.5]}\n'


def test_without_it_nothing_changes(capfd: pytest.CaptureFixture[str]) -> None:
    with json_output(False) as emit:
        print("by print")
        emit({"loss": 0.5})
    assert capfd.readouterr() == ("by print\n", "")


def test_after_an_error_standard_output_is_empty(capfd: pytest.CaptureFixture[str]) -> None:
    def run() -> None:
        with json_output(True) as emit:
            emit(1)
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        run()
    assert capfd.readouterr().out == ""
