"""The soak in its short form, and that it would notice."""

import math
import random

import pytest

from benchmarks.soak.memory import Flatness, measure
from benchmarks.soak.soak import BATCH, Soak, soak

STEPS = 12


@pytest.mark.slow
def test_a_few_faults_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.soak.soak.STEPS", STEPS)
    found = soak(math.inf, seed=3, folder=tmp_path, rounds=1)
    assert found.failures == []
    assert found.counts["clips lost"] == found.counts["differences"] == 0
    assert found.counts["clips trained on"] >= STEPS * BATCH
    assert found.counts["faults injected"] >= 1
    assert found.report()[-1].split() == ["differences", "0"]


@pytest.mark.slow
def test_it_notices_a_clip_that_was_replaced_without_a_word(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.soak.soak.STEPS", STEPS)
    monkeypatch.setattr("benchmarks.soak.soak.substitute", pretend)
    found = Soak(tmp_path, 0)
    found._random = random.Random(4)
    found.round(0, deadline=0.0)
    assert found.counts["differences"] > 0


def pretend(by):
    """Let the undisturbed run see another clip at one place."""
    from benchmarks.soak.faults import substitute

    substitute({**by, 5: 6})


@pytest.mark.slow
def test_memory_and_handles_are_flat_over_rebuilt_pipelines(tmp_path):
    found = measure(math.inf, folder=tmp_path, cycles=8)
    assert len(found.minutes) == 8
    assert found.rebuilds > 8
    assert found.flat, found.lines()


@pytest.mark.parametrize(
    ("memory", "handles", "flat"),
    [
        ([100.0, 150, 151, 150, 152, 151, 150, 151], [9] * 8, True),
        ([100.0, 110, 120, 130, 140, 150, 160, 170], [9] * 8, False),
        ([100.0] * 8, [9, 9, 9, 9, 9, 9, 9, 10], False),
    ],
)
def test_flatness_by_hand(memory, handles, flat):
    found = Flatness(list(map(float, range(8))), memory, handles, [4] * 8)
    assert found.flat == flat
