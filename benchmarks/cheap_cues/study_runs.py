"""One training of the cheap-cues study, and what is measured on its network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cheap_cues.study_plan import Condition, Pretraining, Training, Transfer
from fastrot.config import Config, load_config
from fastrot.config.builtin import find_config
from fastrot.demo.demo import CLIPS_PER_VIDEO
from fastrot.demo.videos import DemoData, builtin_data
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.action import score_action
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.probe import probe_blocks
from fastrot.evaluation.rotation_accuracy import evaluate_rotation
from fastrot.evaluation.trained import load_trained
from fastrot.runs.environment import environment
from fastrot.synthetic.dataset import DemoSpec
from fastrot.training.result import TrainResult
from fastrot.training.run import train
from pipelines.store.reading import Store

SIZES = {
    "unlabelled": (1400, "videos to pre-train on"),
    "groups": (21, "of labelled videos, for each class"),
    "clips_per_group": (3, "videos in a group"),
    "frames": (32, "of each video"),
    "size": (80, "of each frame"),
}
"""Of the generated sets: the default of each and what it counts."""


@dataclass(frozen=True)
class Settings:
    """What all trainings have in common.

    ``pretrain`` and ``finetune`` are changes to the demo's configs, ``key=value`` each. ``seeds`` counts the
    pre-trainings of each condition of the cross, and the transfers of every kind.
    """

    unlabelled: int
    groups: int
    clips_per_group: int
    frames: int
    size: int
    seeds: int
    pretrain: tuple[str, ...] = ()
    finetune: tuple[str, ...] = ()


class Study:
    """Trains and measures in the folder ``out``: demo sets and stores in ``sets/``, runs in ``runs/``.

    A finished run is not repeated, and an interrupted one is resumed.
    """

    def __init__(self, out: Path, settings: Settings):
        self._out = out.resolve()  # a run remembers the file that its weights came from
        self._settings = settings
        self._data: dict[str, DemoData] = {}

    def run(self, training: Training) -> dict[str, Any]:
        """Train, unless the run is finished, and measure; return plain values, accuracies in %.

        Raises:
            FastrotError: The training cannot run, or its result cannot be measured.
        """
        config = self.config(training)
        trained = train(config, resume=True, quiet=True, what=training.key)
        common = {
            "condition": training.condition.name,
            "seed": training.seed,
            "steps": trained.steps,
            "train_accuracy": 100 * trained.accuracy,
            "train_seconds": trained.seconds,
        }
        if isinstance(training, Pretraining):
            return common | {"tested": self._untuned(training, trained)}
        return common | self._tuned(training, config, trained)

    def config(self, training: Training) -> Config:
        """Return the config of a training: the demo's, with its condition, seed and start.

        The videos are generated and prepared if they are missing.
        """
        data = self._videos(training.condition)
        own = [f"name={training.key}", f"seed={training.seed}", f"out={self._out / 'runs'}"]
        own += training.condition.changes
        if isinstance(training, Pretraining):
            own += [f"data.store={data.pool}", f"data.split={data.pool_split}"]
            return load_config(find_config("demo/pretrain.yaml"), [*own, *self._settings.pretrain])
        own += [f"data.store={data.labelled}", f"data.split={data.train_split}"]
        own += self._settings.finetune
        if training.start == "supervised":
            own += ["data.shots=0"]
        elif isinstance(training.start, Pretraining):
            own += [f"init={self._out / 'runs' / training.start.key / 'checkpoints' / 'last.pt'}"]
        return load_config(find_config("demo/finetune.yaml"), own)

    def _videos(self, condition: Condition) -> DemoData:
        if condition.videos not in self._data:
            spec = DemoSpec(
                camera=condition.camera,
                horizon=condition.horizon,
                **{name: getattr(self._settings, name) for name in SIZES},
            )
            self._data[condition.videos] = builtin_data(self._out / "sets" / condition.videos, spec)
        return self._data[condition.videos]

    def _untuned(self, training: Pretraining, trained: TrainResult) -> dict[str, Any]:
        """Measure rotation accuracy and probes under each condition of ``training.tested``, by its name."""
        measured = {}
        with Runtime.start() as runtime:
            network = load_trained(trained.last, runtime)
            for condition in training.tested:
                data = self._videos(condition)
                clips = ClipSet(Store.open(data.labelled), data.test_split, quiet=True)
                rotation = evaluate_rotation(network, clips, runtime)
                probe = probe_blocks(network, clips, data.train_split, runtime)
                measured[condition.name] = {
                    "videos": rotation.protocol.videos,
                    "rotation": 100 * rotation.accuracy,
                    "blocks": probe.blocks,
                    "probe": [100 * value for value in probe.trained],
                    "probe_random": [100 * value for value in probe.random],
                    "probe_videos": probe.train_videos,
                }
        return measured

    def _tuned(self, training: Transfer, config: Config, trained: TrainResult) -> dict[str, Any]:
        """Measure action accuracy on the test videos of the same condition."""
        data = self._videos(training.condition)
        clips = ClipSet(Store.open(data.labelled), data.test_split, CLIPS_PER_VIDEO, quiet=True)
        with Runtime.start() as runtime:
            result, _ = score_action(load_trained(trained.last, runtime), clips, runtime)
        start = training.start
        return {
            "start": start if isinstance(start, str) else start.condition.name,
            "shots": config.data.shots,
            "videos": result.protocol.videos,
            "clips_per_video": CLIPS_PER_VIDEO,
            "top1": 100 * result.video_top1,
        }


def surroundings() -> dict[str, Any]:
    """Return the machine and the software, without the command line."""
    with Runtime.start() as runtime:
        values = environment(runtime)
    del values["command"]
    return values
