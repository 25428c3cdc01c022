"""A workshop whose measurements are written by hand."""

import json

import pytest

from fastrot.config import from_mapping
from fastrot.reproduce.execute import Workshop
from fastrot.reproduce.presets import Changes
from fastrot.reproduce.run_plan import Measurement, Reading, Snapshot, TrainRun
from fastrot.reproduce.settings import demo_setting, paper_setting
from fastrot.reproduce.stores import DemoSizes


class Bench:
    """Makes runs, and measurements with results that somebody wrote."""

    def __init__(self, out, store):
        self.workshop = Workshop(out)
        self.store = str(store.path)

    def run(self, seed=0, start=None, task="action"):
        config = {
            "task": task,
            "seed": seed,
            "data": {"store": self.store, "split": "train1", "frames": 4, "crop": 32},
            "model": {"depth": 10, "width": 2},
            "train": {"iterations": 2, "batch": 2},
        }
        return TrainRun(f"run-{seed}", from_mapping(config), start)

    def measured(self, percent, seed, videos=100, clip=None):
        """Return the reading of a measurement that came to ``percent``."""
        measurement = Measurement("action", Snapshot(self.run(seed)), self.store, "test1", 1)
        folder = self.workshop.measurement_folder(measurement)
        folder.mkdir(parents=True)
        values = {
            "video_top1": percent / 100,
            "clip_top1": (percent if clip is None else clip) / 100,
            "protocol": {
                "store": self.store,
                "split": "test1",
                "videos": videos,
                "clips_per_video": 1,
                "frames": 4,
                "stride": 1,
                "modality": "rgb",
                "crop": 32,
                "size": 40,
                "weights": "full fine-tuning",
            },
        }
        (folder / "results.json").write_text(json.dumps(values))
        return Reading(measurement, "video_top1", clip_key="clip_top1")


@pytest.fixture
def bench(make_store, tmp_path):
    return Bench(tmp_path / "out", make_store())


@pytest.fixture(scope="module")
def paper_preset(tmp_path_factory):
    """Return the paper's preset; none of its stores exists."""
    return paper_setting(tmp_path_factory.mktemp("paper"), {}, None, Changes())


@pytest.fixture(scope="module")
def demo_preset(tmp_path_factory):
    """Return the demo's preset; its videos are not generated."""
    folder = tmp_path_factory.mktemp("demo")
    return demo_setting(folder, DemoSizes(), None, Changes(), gpu=False).preset
