"""A wrong decoder would show, also on a machine with few packages."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.acceptance import hardware_jpeg
from benchmarks.harness.measure import NotHere, Options
from fastrot.distributed.runtime import Runtime
from pipelines.loading.jpeg_engine import decode
from tests.benchmarks.acceptance.bare import DALI, bare_environment

ROOT = Path(__file__).resolve().parents[3]
CPU = Options(Runtime(torch.device("cpu"), rank=0, world=1, threads=1, precision="fp32"))


def test_differences_are_in_levels(monkeypatch):
    monkeypatch.setattr(hardware_jpeg, "_require_gpu", lambda device: None)
    same = hardware_jpeg.compare(CPU, 1.0)
    assert same == {"mean_difference": 0, "most_difference": 0}
    calls = []

    def halved(*arguments):
        calls.append(arguments)
        return decode(*arguments) / len(calls)

    monkeypatch.setattr(hardware_jpeg, "decode", halved)
    wrong = hardware_jpeg.compare(CPU, 0.5)
    assert calls[1][-1] == 0.5
    assert 40 < wrong["mean_difference"] < wrong["most_difference"] <= 128


def test_without_a_gpu_nothing_is_compared():
    for measure in (hardware_jpeg.compare, hardware_jpeg.rate):
        with pytest.raises(NotHere, match="no GPU"):
            measure(CPU, 1.0)


def test_dali_is_all_that_it_needs(tmp_path):
    code = """
import torch
from benchmarks.acceptance import hardware_jpeg
jpegs = [hardware_jpeg.sample_jpeg()]
assert hardware_jpeg.decode(jpegs, hardware_jpeg.CROP, torch.device("cpu")).std() > 40
try:
    import PIL
except ImportError:
    print("without Pillow")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=bare_environment(tmp_path, kept=DALI),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout == "without Pillow\n", done.stderr
