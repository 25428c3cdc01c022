"""The configs of each kind of run, at the sizes of the paper and of the demo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from fastrot.config import Config, load_config
from fastrot.config.builtin import find_config
from fastrot.config.data_config import Modality
from fastrot.reproduce.run_plan import Fusion, Measurement, Reading, Snapshot, TrainRun
from fastrot.reproduce.variants import PLAIN, Variant
from pipelines.store.reading import Fit

Pool = Literal["kinetics", "moments"]
Dataset = Literal["ucf101", "hmdb51"]
DATASETS: tuple[Dataset, ...] = ("ucf101", "hmdb51")
COLUMNS = {"ucf101": "UCF101", "hmdb51": "HMDB51"}
ROTATIONS = "0+90+180+270"
STAGES = ("pretrain", "finetune")

FEW_SHOT_STEPS = {1: 200, 5: 300, 10: 600, 20: 1200}
"""Steps of the demo's fine-tuning by videos per class: as many epochs as on all videos, but at least 200."""

SHORT_STEPS = 120
"""Steps of the demo's fine-tuning in Tables 6 and 7 and ``fit``: not enough to train to the end."""

EPOCHS, DROP = 100, 4_000
"""The paper's fine-tuning: its epochs, and iterations between drops of the learning rate (section 4.2)."""


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
        seeds: Seeds of Tables 2 and 5 and ``budget``; runs of other tables use the first one.
        modality: Modality of all tables except 6 and 7 (in the paper: rgb).
        classes: Number of classes of each labelled set.
        clips: Number of uniformly spaced clips per test video.
        fractions: Number of videos for Table 4's 100, 200 and 400 thousand Kinetics videos.
        shots: Shots of Table 5; 0 is all.
        budgets: Lengths of fine-tuning that ``budget`` compares: epochs (paper) or steps (demo).
        probe_shots: Training videos per class for linear probes; 0 is all.
        checkpoints: Checkpoints of the pre-training in Figure 4b, as multiples of an equal part of the
            run; the last one is its end.
        gpu: Whether a GPU is available, or the plan is for one.
        about: How to interpret the numbers.
        changes: The user's changes.
    """

    name: Literal["paper", "demo"]
    stores: Mapping[str, str]
    seeds: Sequence[int]
    modality: Modality
    classes: Mapping[Dataset, int]
    clips: int
    fractions: Mapping[int, int]
    shots: Sequence[int]
    budgets: Sequence[int]
    probe_shots: int
    checkpoints: Sequence[int]
    gpu: bool
    about: str
    changes: Changes = field(default_factory=Changes)

    @property
    def seed(self) -> int:
        """The seed of runs that use a single seed, and of their pre-training."""
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
        seed: int = 0,
        variant: Variant = PLAIN,
    ) -> TrainRun:
        """Return a pre-training run on rotation prediction.

        Args:
            pool: The videos to train on.
            modality: The modality, or None for the preset's.
            frames: Clip length of Table 6; 0 is the default length.
            rotation: Degrees joined by "+", or "360" for regression of the angle.
            videos: Number of videos of Table 4; 0 is all.
            fit: How frames were made square, for the comparison of ``--fit``.
            seed: The run's seed; only that of seed 0 keeps the checkpoints of Figure 4b.
            variant: A change of the videos or the recipe.
        """
        modality = modality or self.modality
        suffix, overrides = self._sized(frames)
        store = f"{pool}{suffix or variant.scene}" if fit is None else f"{pool}-{fit}"
        overrides += [f"data.modality={modality}", f"data.store={self.stores[store]}"]
        overrides += self._rotation(rotation)
        if self.name == "demo" and frames:
            overrides.append("train.iterations=200")
        if videos:
            overrides.append(f"data.videos={videos}")
        if seed:
            overrides.append(f"seed={seed}")
        overrides += variant.overrides
        config = self._load("pretrain", self._pretrain_file(pool, modality, frames), overrides)
        name = f"{store}-{modality}-{config.data.frames}{variant.name}"
        if rotation != ROTATIONS:
            name += "-8-rotations" if rotation.count("+") == 7 else f"-{rotation.replace('+', '-')}"
        elif (
            pool == "kinetics"
            and modality == self.modality
            and variant == PLAIN
            and not (suffix or videos or seed)
        ):
            config = self._with_checkpoints(config)
        name += f"-{videos}-videos" if videos else ""
        name += f"-s{seed}" if seed else ""
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
        """Return a short pre-training run of a small network on videos without content.

        The crop is the whole frame, so that the network sees its borders.
        """
        overrides = [
            f"data.store={self.stores[store]}",
            "data.split=train",
            "data.modality=rgb",
            f"data.crop={136 if self.name == 'paper' else 64}",
            "data.frames=2",
            "data.stride=1",
            "model.depth=10",
            "optim.lr=0.05",
            "train.batch=8",
            "train.iterations=600",
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
        budget: int = 0,
        variant: Variant = PLAIN,
    ) -> TrainRun:
        """Return a fine-tuning run on actions.

        Args:
            dataset: The labelled videos.
            start: The pre-trained network, or None to train from scratch.
            split: Number of the split.
            shots: Training videos per class; 0 is all.
            freeze: Number of frozen blocks.
            seed: The run's seed, or None for the first one of the preset.
            modality: The modality, or None for the preset's.
            frames: Clip length of Table 6; 0 is the default length.
            fit: How frames were made square, for the comparison of ``--fit``.
            budget: Length as in ``budgets``, or 0 for the usual one of such a run.
            variant: A change of the videos or the recipe.
        """
        modality = modality or self.modality
        seed = self.seed if seed is None else seed
        suffix, overrides = self._sized(frames)
        store = f"{dataset}{suffix or variant.scene}" if fit is None else f"{dataset}-{fit}"
        overrides += [
            f"data.modality={modality}",
            f"data.store={self.stores[store]}",
            f"data.split=train{split}",
            f"data.shots={shots}",
            "data.eval_split=null",
            f"model.freeze={freeze}",
            f"seed={seed}",
        ]
        overrides += [
            *self._length(budget, shots=shots, short=bool(frames or fit)),
            *variant.overrides,
        ]
        snapshot = Snapshot(start) if isinstance(start, TrainRun) else start
        origin = "scratch" if snapshot is None else snapshot.run.name
        parts = [f"{store}-{split}{variant.name}", f"from-{origin}"]
        parts += [f"step-{snapshot.step}"] if snapshot and snapshot.step else []
        parts += [f"{shots}-shots"] if shots else []
        parts += [f"freeze-{freeze}"] if freeze else []
        parts += [f"budget-{budget}"] if budget else []
        parts += [f"s{seed}"] if seed else []  # short: the origin's name may end in its own seed
        file = "demo/reproduce_finetune.yaml"
        if self.name == "paper":
            file = f"finetune/{dataset}_{modality}_{frames or 16}.yaml"
        return TrainRun("-".join(parts), self._load("finetune", file, overrides), snapshot)

    def _length(self, budget: int, *, shots: int, short: bool) -> list[str]:
        """Return the overrides for the length of a fine-tuning run; the config file has the full length."""
        if self.name == "paper":
            # Drops of the learning rate at the same parts of the run.
            scaled = [f"train.epochs={budget}", f"optim.step_size={DROP * budget // EPOCHS}"]
            return scaled if budget else []
        steps = budget or (FEW_SHOT_STEPS[shots] if shots else SHORT_STEPS if short else 0)
        return [f"train.iterations={steps}"] if steps else []

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

    def sized_store(self, dataset: Dataset, frames: int) -> str:
        """Return the name of a set's store for a clip length of Table 6 (0: the default length)."""
        return f"{dataset}{self._sized(frames)[0]}"

    def chance(self, dataset: Dataset) -> float:
        """Return the top-1 accuracy of random answers in %."""
        return 100 / self.classes[dataset]

    def rotation_accuracy(
        self, network: TrainRun | Snapshot, store: str, split: str = "all"
    ) -> Reading:
        """Return the rotation accuracy of a pre-trained network on a split of a store.

        If the network predicts the angle, it is the share of predictions within 22.5 degrees.
        """
        return Reading(
            self._rotation_measurement(network, store, split),
            "accuracy",
            error_key="accuracy_standard_error",
        )

    def angular_error(self, network: TrainRun, store: str, split: str) -> Reading:
        """Return the mean angular error in degrees of a network that predicts the angle."""
        return Reading(
            self._rotation_measurement(network, store, split),
            "mean_error_degrees",
            scale=1.0,
            error_key="mean_error_standard_error",
        )

    def _rotation_measurement(
        self, network: TrainRun | Snapshot, store: str, split: str
    ) -> Measurement:
        snapshot = Snapshot(network) if isinstance(network, TrainRun) else network
        return Measurement("rotation", snapshot, self.stores[store], split, 1)

    def features(
        self,
        kind: Literal["probe", "retrieval"],
        network: TrainRun,
        store: str,
        *,
        split: int = 1,
        shots: int | None = None,
    ) -> Measurement:
        """Return the linear probe of a network's frozen features, or the retrieval with them.

        ``store`` is the store's name; ``shots`` of a probe are those of the preset if None.
        """
        if shots is None:
            shots = self.probe_shots if kind == "probe" else 0
        of, tested, fitted = Snapshot(network), f"test{split}", f"train{split}"
        return Measurement(kind, of, self.stores[store], tested, self.clips, fitted, shots)
