"""With ``--json`` standard output is one JSON value, whatever else is printed by whichever process."""

import json
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
