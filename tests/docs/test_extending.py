"""The code of docs/extending.md does what the page says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastrot.cli import main
from pipelines.store.reading import Store
from tests.docs.pages import ROOT, blocks, commands
from tests.helpers import moving_frames, write_video

PAGE = ROOT / "docs" / "extending.md"
LAYOUT, TASK = [block.text for block in blocks(PAGE) if block.language == "python"]
(CONFIG,) = [block.text for block in blocks(PAGE) if block.language == "yaml"]


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


SMALL = [
    *("data.frames=4", "data.crop=32", "model.depth=10", "model.width=4", "train.batch=4"),
    *("train.iterations=2", "optim.lr=0.01"),
]


def lines_of_the_task(store):
    """Return the words of the page's commands for the task, by command, on a real store."""
    found = {}
    for words in commands(PAGE):
        if any("arrow_of_time" in word for word in words):
            words = [re.sub(r"\b(UCF_)?STORE$", str(store), word) for word in words]
            words = [re.sub(r"\b(train|test)$", r"\g<1>1", word) for word in words]
            found[words[1] if words[0] == "evaluate" else words[0]] = words
    return found


@pytest.mark.slow
def test_the_task_does_by_the_command_line_what_the_page_says(
    make_store, tmp_path, monkeypatch, capsys, one_thread
):
    (tmp_path / "arrow_of_time.py").write_text(TASK)
    (tmp_path / "arrow_of_time.yaml").write_text(CONFIG)
    lines = lines_of_the_task(make_store().path)
    pretrain = [*lines["pretrain"], *SMALL]
    assert "data.eval_split=test1" in pretrain
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1"]
    done = subprocess.run(
        [sys.executable, *torchrun, "-m", "fastrot", *pretrain],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "arrow_of_time:ArrowOfTime, 2 classes" in done.stdout
    assert "pretext accuracy" in done.stdout

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = list(sys.path)
    try:
        assert main([*lines["pretext"]]) == 0
        assert "pretext accuracy" in capsys.readouterr().out
        clips = ["--clips", "1"]
        assert main([*lines["probe"], *clips]) == 0
        assert main([*lines["features"], *clips]) == 0
        assert np.load("features.npz")["features"].shape == (6, 32)
        assert main(lines["report"]) == 0
        assert "arrow_of_time:ArrowOfTime" in Path("report.html").read_text()
        wrong = ["rotation" if word == "pretext" else word for word in lines["pretext"]]
        assert main(wrong) == 2
        assert "use `fastrot evaluate pretext`" in capsys.readouterr().err
    finally:
        sys.modules.pop("arrow_of_time", None)
    assert sys.path == before

    Path("arrow_of_time.py").unlink()  # the weights alone need no code
    action = ["data.split=train1", "data.eval_split=null", "train.epochs=null"]
    assert main([*lines["finetune"], *SMALL, *action]) == 0
    assert main(lines["pretext"]) == 2
    assert "module arrow_of_time does not exist" in capsys.readouterr().err


def test_each_is_about_thirty_lines():
    for code in (LAYOUT, TASK):
        assert len([line for line in code.splitlines() if line.strip()]) <= 40


@pytest.fixture
def one_thread(monkeypatch):
    from fastrot.distributed import runtime

    monkeypatch.setattr(runtime, "cores", lambda: 1)
