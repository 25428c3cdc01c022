"""A workshop whose measurements are written by hand."""

import json

import numpy as np
import pytest

from fastrot.config import from_mapping, to_mapping
from fastrot.evaluation.scores import Scores
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

    def run(self, seed=0, start=None, task="action", freeze=0):
        config = {
            "task": task,
            "seed": seed,
            "data": {"store": self.store, "split": "train1", "frames": 4, "crop": 32},
            "model": {"depth": 10, "width": 2, "freeze": freeze},
            "train": {"iterations": 2, "batch": 2},
        }
        return TrainRun(f"run-{seed}", from_mapping(config), start)

    def finished(self, run, windows=(), train=None, **environment):
        """Write the files of a finished run: (step, accuracy, clips) of its windows, and its environment."""
        folder = self.workshop.run_folder(run)
        folder.mkdir(parents=True, exist_ok=True)
        config = to_mapping(run.config)
        config["train"] |= train or {}
        (folder / "finished.json").write_text(json.dumps({"name": run.name, "config": config}))
        (folder / "env.json").write_text(
            json.dumps({"world_size": 1, "precision": "fp32"} | environment)
        )
        lines = [
            {"step": step, "accuracy": accuracy, "clips": clips}
            for step, accuracy, clips in windows
        ]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return folder

    def answered(self, right, seed, split="test1", start=None):
        """Return the reading of a measurement with saved scores; ``right`` has a letter y or n per video."""
        percent = 100 * right.count("y") / len(right)
        reading = self.measured(percent, seed, videos=len(right), split=split, start=start)
        softmax = np.array([[1, 0] if each == "y" else [0, 1] for each in right], np.float32)
        names = [f"v{at}" for at in range(len(right))]
        labels = np.zeros(len(right), dtype=np.int64)
        folder = self.workshop.measurement_folder(reading.source)
        Scores(names, labels, softmax, ["a", "b"], "by hand").save(folder / "scores.npz")
        return reading

    def measured(self, percent, seed, videos=100, clip=None, split="test1", start=None, freeze=0):
        """Return the reading of a measurement that came to ``percent``."""
        snapshot = Snapshot(self.run(seed, start, freeze=freeze))
        measurement = Measurement("action", snapshot, self.store, split, 1)
        folder = self.workshop.measurement_folder(measurement)
        folder.mkdir(parents=True)
        values = {
            "video_top1": percent / 100,
            "clip_top1": (percent if clip is None else clip) / 100,
            "protocol": {
                "store": self.store,
                "split": split,
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
