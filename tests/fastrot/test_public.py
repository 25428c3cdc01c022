"""What ``import fastrot`` offers, and what it costs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import fastrot
from fastrot.api import open_clips
from pipelines.errors import UsageError

ROOT = Path(__file__).parents[2]


def test_the_ten_names_are_there_and_documented():
    assert len(fastrot.__all__) == 10
    for name in fastrot.__all__:
        assert getattr(fastrot, name).__doc__, name
        assert name in dir(fastrot)


def test_importing_loads_nothing_heavy():
    code = (
        "import sys, fastrot; from pipelines.errors import FastrotError as home; "
        "assert not {'torch', 'nvidia.dali', 'yaml', 'numpy'} & set(sys.modules); "
        "assert fastrot.FastrotError is home"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'fly'"):
        fastrot.fly  # noqa: B018


def test_the_package_says_that_it_is_typed():
    for package in ("fastrot", "pipelines"):
        assert (ROOT / package / "py.typed").exists()


def test_clips_are_as_asked(make_store):
    store = make_store("raw")
    with open_clips(
        store, split="train1", frames=4, crop=32, modality="dif", batch=3, steps=2, device="cpu"
    ) as loader:
        batches = list(loader)
    assert [tuple(batch.clips.shape) for batch in batches] == [(3, 4, 32, 32, 3)] * 2
    assert batches[0].clips.dtype == torch.int16
    chosen = set(store.select("train1").tolist())
    assert {int(video) for batch in batches for video in batch.videos} <= chosen
    with pytest.raises(UsageError, match="no split 'dev'"):
        open_clips(store, split="dev")


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "tutorial.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for line in (
        "36 videos of 12 classes, splits test1, ",
        "clips (4, 8, 56, 56, 3), torch.uint8",
        "rotated (16, 3, 8, 56, 56), labels [0, 0, 0, 0, 1, ",
        "features of a batch of clips (4, 32)",
        "features of a split (12, 32), labels [0, 1, 2, ",
        "an error: ",
    ):
        assert line in done.stdout
    source = (ROOT / "docs" / "tutorial.py").read_text()
    assert all(f"fastrot.{name}" in source for name in fastrot.__all__)
