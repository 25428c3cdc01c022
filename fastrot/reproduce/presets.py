"""The configs of each kind of run, at the sizes of the paper and of the demo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from fastrot.config import Config, load_config
from fastrot.config.builtin import find_config
from fastrot.config.schema import Modality
from fastrot.reproduce.run_plan import Fusion, Measurement, Reading, Snapshot, TrainRun
from pipelines.store.reading import Fit

Pool = Literal["kinetics", "moments"]
Dataset = Literal["ucf101", "hmdb51"]
DATASETS: tuple[Dataset, ...] = ("ucf101", "hmdb51")
COLUMNS = {"ucf101": "UCF101", "hmdb51": "HMDB51"}
ROTATIONS = "0+90+180+270"
STAGES = ("pretrain", "finetune")


@lru_cache(maxsize=1024)
def _read(file: str, overrides: tuple[str, ...]) -> Config:
    """Read a config once: tables share many runs, and reading YAML is slow."""
    return load_config(find_config(file), overrides)


@dataclass(frozen=True)
class Changes:
    """The user's ``key=value`` changes of each stage, "pretrain" and "finetune"."""

    pretrain: tuple[str, ...] = ()
    finetune: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preset:
    """The settings for the runs of the tables.

    Attributes:
        name: "paper" or "demo".
        stores: Path of each store by name: kinetics, moments, ucf101, hmdb51, and the stores of
            measurements that are not in the paper.
        seeds: Seeds of Tables 2 and 5; other tables use the first one.
        modality: Modality of all tables except 6 and 7 (in the paper: rgb).
        clips: Number of uniformly spaced clips per test video.
        fractions: Number of videos for Table 4's 100, 200 and 400 thousand Kinetics videos.
        shots: Shots of Table 5; 0 is all.
        probe_shots: Training videos per class for linear probes; 0 is all.
        checkpoints: Checkpoints of the pre-training in Figure 4b, as multiples of an equal part of the
            run; the last one is its end.
        noise_codecs: Codecs of the noise stores.
        about: How to interpret the numbers.
        changes: The user's changes.
    """

    name: Literal["paper", "demo"]
    stores: Mapping[str, str]
    seeds: Sequence[int]
    modality: Modality
    clips: int
    fractions: Mapping[int, int]
    shots: Sequence[int]
    probe_shots: int
    checkpoints: Sequence[int]
    noise_codecs: Sequence[str]
    about: str
    changes: Changes = field(default_factory=Changes)

    @property
    def seed(self) -> int:
        """The seed of runs that use a single seed."""
        return self.seeds[0]

    def _load(self, stage: str, file: str, overrides: Sequence[str]) -> Config:
        changes: tuple[str, ...] = getattr(self.changes, stage)
        return _read(file, ("init=scratch", *overrides, *changes))

    def _sized(self, frames: int) -> tuple[str, list[str]]:
        """Return the store suffix and the overrides for a clip length of Table 6 (0: the default length)."""
        if self.name == "paper" or frames == 0:
            return "", []
        # Smaller frames, so that clips of 64 frames are feasible on two cores. Consecutive, as in the paper.
        return "-long", [f"data.frames={frames}", "data.stride=1", "data.crop=32"]

    def pretrain(
        self,
        pool: Pool,
        *,
        modality: Modality | None = None,
        frames: int = 0,
        rotation: str = ROTATIONS,
        videos: int = 0,
        fit: Fit | None = None,
    ) -> TrainRun:
        """Return a pre-training run on rotation prediction.

        Args:
            pool: The videos to train on.
            modality: The modality, or None for the preset's.
            frames: Clip length of Table 6; 0 is the default length.
            rotation: Degrees joined by "+", or "360" for regression of the angle.
            videos: Number of videos of Table 4; 0 is all.
            fit: How frames were made square, for the comparison of ``--fit``.
        """
        modality = modality or self.modality
        suffix, overrides = self._sized(frames)
        store = f"{pool}{suffix}" if fit is None else f"{pool}-{fit}"
        overrides += [f"data.modality={modality}", f"data.store={self.stores[store]}"]
        overrides += self._rotation(rotation)
        if self.name == "demo" and frames:
            overrides.append("train.iterations=200")
        if videos:
            overrides.append(f"data.videos={videos}")
        config = self._load("pretrain", self._pretrain_file(pool, modality, frames), overrides)
        name = f"{store}-{modality}-{config.data.frames}"
        if rotation != ROTATIONS:
            name += "-8-rotations" if rotation.count("+") == 7 else f"-{rotation.replace('+', '-')}"
        elif pool == "kinetics" and modality == self.modality and not suffix and not videos:
            config = self._with_checkpoints(config)
        name += f"-{videos}-videos" if videos else ""
        return TrainRun(name, config)

    def _with_checkpoints(self, config: Config) -> Config:
        """Keep the checkpoints that Figure 4b starts from."""
        parts = self.checkpoints[-1]
        every = max(1, (config.train.iterations or parts) // parts)
        return replace(config, train=replace(config.train, checkpoint_every=every, keep=parts))

    def snapshots(self, run: TrainRun) -> list[Snapshot]:
        """Return the networks of Figure 4b; the last one is the final one, which other tables start from."""
        every = run.config.train.checkpoint_every
        steps = [part * every for part in self.checkpoints[:-1]]
        return [*(Snapshot(run, step) for step in steps), Snapshot(run)]

    def _pretrain_file(self, pool: Pool, modality: Modality, frames: int) -> str:
        if self.name == "demo":
            return "demo/reproduce_pretrain.yaml"
        return f"pretrain/{pool}_{modality}_{frames or 16}.yaml"

    def _rotation(self, rotation: str) -> list[str]:
        if rotation == "360":
            return ["rotation.kind=regress"]
        degrees = rotation.split("+")
        overrides = [f"rotation.degrees=[{', '.join(degrees)}]"]
        if len(degrees) == 8 and self.name == "demo":
            overrides.append(
                "train.batch=8"
            )  # twice as many views: half the videos per step take the same time
        return overrides

    def supervised(self, pool: Pool = "kinetics") -> TrainRun:
        """Return the supervised baseline of equal length, trained on the labels of the pool."""
        overrides = [
            "task=action",
            f"data.modality={self.modality}",
            f"data.store={self.stores[pool]}",
            # As many clips per step as in the pretext task with four rotations.
            f"train.batch={128 if self.name == 'paper' else 64}",
        ]
        if self.name == "paper":
            overrides.append("data.split=train")
        file = self._pretrain_file(pool, self.modality, 0)
        return TrainRun(f"{pool}-supervised", self._load("pretrain", file, overrides))

    def noise(self, store: str) -> TrainRun:
        """Return a short pre-training run on videos without content."""
        overrides = [
            f"data.store={self.stores[store]}",
            "data.split=train",
            "data.modality=rgb",
            f"data.crop={112 if self.name == 'paper' else 56}",
            "train.iterations=150",
            "train.checkpoint_every=0",
        ]
        return TrainRun(store, self._load("pretrain", "demo/reproduce_pretrain.yaml", overrides))

    def finetune(
        self,
        dataset: Dataset,
        start: TrainRun | Snapshot | None,
        *,
        split: int = 1,
        shots: int = 0,
        freeze: int = 0,
        seed: int | None = None,
        modality: Modality | None = None,
        frames: int = 0,
        fit: Fit | None = None,
    ) -> TrainRun:
        """Return a fine-tuning run on actions from a pre-trained network, or from scratch (None)."""
        modality = modality or self.modality
        seed = self.seed if seed is None else seed
        suffix, overrides = self._sized(frames)
        store = f"{dataset}{suffix}" if fit is None else f"{dataset}-{fit}"
        overrides += [
            f"data.modality={modality}",
            f"data.store={self.stores[store]}",
            f"data.split=train{split}",
            f"data.shots={shots}",
            "data.eval_split=null",
            f"model.freeze={freeze}",
            f"seed={seed}",
        ]
        if self.name == "demo" and (frames or shots):
            overrides.append("train.iterations=120")
        snapshot = Snapshot(start) if isinstance(start, TrainRun) else start
        origin = "scratch" if snapshot is None else snapshot.run.name
        parts = [f"{store}-{split}", f"from-{origin}"]
        parts += [f"step-{snapshot.step}"] if snapshot and snapshot.step else []
        parts += [f"{shots}-shots"] if shots else []
        parts += [f"freeze-{freeze}"] if freeze else []
        parts += [f"seed-{seed}"] if seed else []
        file = "demo/reproduce_finetune.yaml"
        if self.name == "paper":
            file = f"finetune/{dataset}_{modality}_{frames or 16}.yaml"
        return TrainRun("-".join(parts), self._load("finetune", file, overrides), snapshot)

    def action(self, run: TrainRun) -> Measurement:
        """Return the measurement of a fine-tuning run on the test videos of its split."""
        data = run.config.data
        split = data.split.replace("train", "test")
        return Measurement("action", Snapshot(run), data.store, split, self.clips)

    def top1(self, run: TrainRun) -> Reading:
        """Return the top-1 accuracy of a fine-tuning run per video, and also per clip."""
        return Reading(self.action(run), "video_top1", clip_key="clip_top1")

    def fused(self, first: TrainRun, second: TrainRun) -> Reading:
        """Return the top-1 accuracy of the fused scores of two fine-tuning runs."""
        return Reading(Fusion(self.action(first), self.action(second)), "video_top1")

    def rotation_accuracy(
        self, network: TrainRun | Snapshot, store: str, split: str = "all"
    ) -> Reading:
        """Return the rotation accuracy of a pre-trained network on a split of a store."""
        snapshot = Snapshot(network) if isinstance(network, TrainRun) else network
        measurement = Measurement("rotation", snapshot, self.stores[store], split, 1)
        return Reading(measurement, "accuracy")

    def features(
        self, kind: Literal["probe", "retrieval"], network: TrainRun, dataset: Dataset
    ) -> Measurement:
        """Return the linear probe of a network's frozen features, or the retrieval with them."""
        shots = self.probe_shots if kind == "probe" else 0
        return Measurement(
            kind, Snapshot(network), self.stores[dataset], "test1", self.clips, "train1", shots
        )
