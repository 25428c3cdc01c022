"""Training on unprepared videos."""

import json

import pytest

from fastrot.config import from_mapping
from fastrot.training.run import train
from pipelines.errors import UsageError
from tests.helpers import moving_frames, write_video


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    root = tmp_path_factory.mktemp("films")
    for i in range(2):
        write_video(root / f"{i}.mp4", moving_frames(30, 128, 144, i), codec="libvpx-vp9")
    return root


def config(films, out, **changes):
    values = {
        "name": "reader",
        "out": str(out),
        "data": {"store": str(films), "source": "reader", "frames": 4, "size": 40, "crop": 32},
        "model": {"width": 2},
        "train": {"batch": 4, "iterations": 3, "log_every": 1},
    }
    for key, value in changes.items():
        section, _, name = key.partition("__")
        values.setdefault(section, {})
        if name:
            values[section][name] = value
        else:
            values[section] = value
    return from_mapping(values)


def test_windows_of_unprepared_videos_train_and_resume(films, tmp_path):
    train(config(films, tmp_path), quiet=True)
    longer = config(films, tmp_path, train__iterations=5)
    assert train(longer, resume=True, quiet=True).steps == 5
    lines = (tmp_path / "reader" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"task": "action"}, "task=action"),
        ({"data__split": "train1"}, "data.split=train1"),
        ({"data__eval_split": "all"}, "data.eval_split=all"),
        ({"rotation__speeds": [1, 2]}, r"rotation.speeds=\[1, 2\]"),
        ({"train__iterations": None, "train__epochs": 1.0}, "train.epochs"),
    ],
)
def test_what_needs_a_store_is_refused_by_name(films, tmp_path, changes, what):
    with pytest.raises(UsageError, match=f"{what} needs a prepared store"):
        train(config(films, tmp_path, **changes), quiet=True)


def test_a_batch_that_does_not_divide_is_refused(films, tmp_path):
    with pytest.raises(
        UsageError, match=r"train\.batch is 4: it must be a multiple of 3 .1 processes x 3"
    ):
        train(config(films, tmp_path, train__accumulate=3), quiet=True)
