"""The code of docs/extending.md does what the page says."""

import json
import subprocess
import sys

import pytest

from fastrot.config import from_mapping
from pipelines.store import Store
from tests.docs.pages import ROOT, blocks
from tests.helpers import moving_frames, write_video

LAYOUT, TASK = [
    block.text for block in blocks(ROOT / "docs" / "extending.md") if block.language == "python"
]


def test_the_layout_prepares_what_its_list_names(tmp_path):
    write_video(tmp_path / "videos" / "a" / "b.avi", moving_frames(8, 48, 64))
    videos = {"train": {"swimming": ["a/b.avi"]}, "test": {"diving": ["c.avi"]}}
    (tmp_path / "videos" / "videos.json").write_text(json.dumps(videos))
    (tmp_path / "mine.py").write_text(LAYOUT)
    command = ["prepare", "videos", "--layout", "json", "--out", "store", "--size", "40"]
    done = subprocess.run(
        [sys.executable, "mine.py", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "not on disk  1 listed video (c.avi)" in done.stdout
    store = Store.open(tmp_path / "store")
    assert (store.classes, store.splits, store.name(0)) == (
        ["diving", "swimming"],
        {"train": 1},
        "a/b.avi",
    )


def test_the_task_trains(make_store, one_thread, capsys):
    names = {}
    exec(compile(TASK, "extending.md", "exec"), names)
    config = from_mapping(
        {
            "data": {"frames": 4, "crop": 32},
            "model": {"depth": 10, "width": 4},
            "train": {"batch": 4, "iterations": 2},
        }
    )
    before = names["ArrowOfTime"](2, 2, [0.5] * 3, [0.5] * 3).network(config.model)
    network = names["train_arrow"](make_store(), config, steps=2)
    assert "accuracy" in capsys.readouterr().out
    assert network.fc[2].out_features == 2
    assert before.state_dict().keys() == network.state_dict().keys()


def test_each_is_about_thirty_lines():
    for code in (LAYOUT, TASK):
        assert len([line for line in code.splitlines() if line.strip()]) <= 40


@pytest.fixture
def one_thread(monkeypatch):
    from fastrot import runtime

    monkeypatch.setattr(runtime, "cores", lambda: 1)
