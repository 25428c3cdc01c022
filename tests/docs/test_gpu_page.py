"""The page of what a GPU has confirmed: its tests and parts exist, and its numbers are calculated here."""

import re

import pytest

from benchmarks.acceptance.findings import CALCULATED, ITERATIONS
from benchmarks.acceptance.parts import PARTS
from benchmarks.training.step_bound import elementwise_bytes, step_bound_ms
from benchmarks.training.train_cases import FULL
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "gpu.md").read_text()


def test_the_tests_and_the_parts_exist():
    files = re.findall(r"`(?:pytest -m gpu )?(tests/[\w/.]+)`", PAGE)
    assert len(files) > 20
    assert [file for file in files if not (ROOT / file).exists()] == []
    parts = set(re.findall(r"part `([\w ]+)`", PAGE))
    assert parts - {part.name for part in PARTS} == set()
    assert {"profile", "rotation", "step", "jpeg", "h264", "candidates", "real data"} <= parts


def test_every_command_of_tests_has_tests_of_a_gpu():
    folders = re.findall(r"`pytest -m gpu (tests/[\w/]+)`", PAGE)
    for folder in folders:
        texts = (path.read_text() for path in (ROOT / folder).rglob("test_*.py"))
        assert any("pytest.mark.gpu" in text for text in texts), folder


def test_the_bound_is_the_calculated_one():
    gflop = 4 * FULL.batch * FULL.flop_per_clip / 1e9
    megabytes = elementwise_bytes(FULL, 2) / 1e6
    bound_ms = step_bound_ms(FULL, 2, tflop_per_s=798, gb_per_s=3000)
    text = " ".join(PAGE.split())
    assert (
        f"{gflop:,.0f} GFLOP and moves {megabytes:,.0f} MB in half precision: {bound_ms:.1f} ms"
        in text
    )
    assert f"would be {gflop / 798 / 0.5:.1f} ms" in text


@pytest.mark.parametrize("minutes", CALCULATED.values())
def test_the_calculated_minutes_are_those_of_the_steps(minutes):
    (row,) = (line for line in PAGE.splitlines() if line.endswith(f"| {minutes} |"))
    steps = [float(ms) for ms in row.split("|")[2].split(" to ")]
    for ms, given in zip(steps, minutes.split(" to "), strict=True):
        assert abs(ITERATIONS * ms / 60e3 - float(given)) < 0.6
