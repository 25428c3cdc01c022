"""The schema of a run's configuration, and what each value must be by itself.

What depends on the store or on the number of processes is checked where these are known, at the
start of a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from pipelines.errors import UsageError

Source = Literal["store", "reader"]
Depth = Literal[10, 18, 34]
Modality = Literal["rgb", "dif"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Schedule = Literal["constant", "step", "onecycle"]
Shortcut = Literal["A", "B"]
TaskName = Literal["rotation", "action"]

SCRATCH = "scratch"

# Mean and std of the pixels in units of the full range, by modality. RGB: the authors' released code.
# DIF: open in the paper; differences are centred, and 0.1 is about their spread on real videos.
STATISTICS: dict[str, tuple[list[float], list[float]]] = {
    "rgb": ([0.4339, 0.4046, 0.3776], [0.151987, 0.14855, 0.1569]),
    "dif": ([0.0, 0.0, 0.0], [0.1, 0.1, 0.1]),
}


@dataclass(frozen=True)
class DataConfig:
    """Which clips of which store.

    ``store`` is a folder made by ``fastrot prepare``; ``split`` is trained on, and ``eval_split`` (if
    any) evaluated during training. Clips are ``frames`` long, ``stride`` frames apart, cropped to
    ``crop`` x ``crop`` pixels and flipped with probability ``flip``; ``mean`` and ``std`` are a value
    per channel in units of the full range 0..255, null for those of the modality. ``threads`` serve
    the loader (0: as many as the process has), which prepares ``prefetch`` batches ahead. ``shots``
    keeps that many videos of each class (0: all), drawn by the seed such that few are among many.

    ``source: reader`` makes ``store`` a folder of unprepared videos instead: every window of each is
    read, a new one beginning each ``step`` frames, and stretched to ``size`` x ``size`` pixels.
    """

    store: str = ""
    source: Source = "store"
    split: str = "all"
    eval_split: str | None = None
    modality: Modality = "rgb"
    frames: int = 16
    stride: int = 1
    crop: int = 112
    flip: float = 0.5
    mean: list[float] | None = None
    std: list[float] | None = None
    threads: int = 0
    prefetch: int = 2
    shots: int = 0
    size: int = 136
    step: int = 8

    def __post_init__(self) -> None:
        _choice("data.source", self.source, get_args(Source))
        _choice("data.modality", self.modality, get_args(Modality))
        for key in ("frames", "stride", "crop", "prefetch", "size", "step"):
            _at_least(f"data.{key}", getattr(self, key), 1)
        for key in ("threads", "shots"):
            _at_least(f"data.{key}", getattr(self, key), 0)
        _between("data.flip", self.flip, 0, 1)
        for key in ("mean", "std"):
            values = getattr(self, key)
            if values is not None and len(values) != 3:
                raise UsageError(f"data.{key} is {values}: give three numbers, one per channel")
        if self.std is not None and min(self.std) <= 0:
            raise UsageError(f"data.std is {self.std}: each must be above 0")

    @property
    def statistics(self) -> tuple[list[float], list[float]]:
        """Mean and std per channel, those of the modality where none are given."""
        mean, std = STATISTICS[self.modality]
        return self.mean or mean, self.std or std


@dataclass(frozen=True)
class RotationConfig:
    """The pretext task's classes, in degrees counter-clockwise."""

    degrees: list[int] = field(default_factory=lambda: [0, 90, 180, 270])


@dataclass(frozen=True)
class ModelConfig:
    """The 3D ResNet: its depth, kernels of the first block, and kind of shortcut (Hara et al.)."""

    depth: Depth = 18
    width: int = 64
    shortcut: Shortcut = "A"

    def __post_init__(self) -> None:
        _choice("model.depth", self.depth, get_args(Depth))
        _at_least("model.width", self.width, 1)
        _choice("model.shortcut", self.shortcut, get_args(Shortcut))


@dataclass(frozen=True)
class OptimConfig:
    """SGD and its learning rate's schedule, which moves every iteration.

    ``step`` multiplies ``lr`` by ``gamma`` every ``step_size`` iterations; ``onecycle`` rises from
    lr / 25 to ``lr`` in the first 30 % and falls to almost 0 by the end; ``constant`` stays.
    """

    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-3
    nesterov: bool = False
    schedule: Schedule = "step"
    step_size: int = 24_000
    gamma: float = 0.1

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise UsageError(f"optim.lr is {self.lr}: it must be above 0")
        _between("optim.momentum", self.momentum, 0, 1)
        _at_least("optim.weight_decay", self.weight_decay, 0)
        _choice("optim.schedule", self.schedule, get_args(Schedule))
        _at_least("optim.step_size", self.step_size, 1)
        _between("optim.gamma", self.gamma, 0, 1)
        if self.nesterov and self.momentum == 0:
            raise UsageError("optim.nesterov needs optim.momentum above 0")


@dataclass(frozen=True)
class TrainConfig:
    """How long and in what portions.

    ``batch`` is the videos of one step over all processes and accumulated micro-batches. Exactly one
    of ``iterations`` and ``epochs`` is given. ``precision`` auto is bf16 on a GPU that has it, fp16
    on an older one, fp32 on a CPU. The ``*_every`` count iterations; ``eval_every`` and
    ``checkpoint_every`` 0 mean at the end only. ``keep`` is the number of newest checkpoints kept
    under their step's number beside ``last.pt`` and ``best.pt``.
    """

    batch: int = 32
    iterations: int | None = None
    epochs: float | None = None
    accumulate: int = 1
    precision: Precision = "auto"
    log_every: int = 20
    eval_every: int = 0
    checkpoint_every: int = 1000
    keep: int = 0

    def __post_init__(self) -> None:
        for key in ("batch", "accumulate", "log_every"):
            _at_least(f"train.{key}", getattr(self, key), 1)
        for key in ("eval_every", "checkpoint_every", "keep"):
            _at_least(f"train.{key}", getattr(self, key), 0)
        if self.iterations is not None:
            _at_least("train.iterations", self.iterations, 1)
        if self.epochs is not None and not self.epochs > 0:
            raise UsageError(f"train.epochs is {self.epochs}: it must be above 0")
        _choice("train.precision", self.precision, get_args(Precision))


@dataclass(frozen=True)
class EvalConfig:
    """Evaluation during training: uniform clips of each video, and clips a batch and process."""

    clips_per_video: int = 1
    batch: int = 16

    def __post_init__(self) -> None:
        _at_least("eval.clips_per_video", self.clips_per_video, 1)
        _at_least("eval.batch", self.batch, 1)


@dataclass(frozen=True)
class Config:
    """One training run.

    ``task`` is ``rotation`` (pretext) or ``action`` (transfer); the run's folder is ``out``/``name``;
    ``seed`` decides the first weights, the clips and the few-shot subset; ``init`` is a checkpoint
    whose network is started from (all but its last layers), or ``scratch``.
    """

    task: TaskName = "rotation"
    name: str = ""
    out: str = "runs"
    seed: int = 0
    init: str = SCRATCH
    data: DataConfig = field(default_factory=DataConfig)
    rotation: RotationConfig = field(default_factory=RotationConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)

    def __post_init__(self) -> None:
        _choice("task", self.task, get_args(TaskName))
        _between("seed", self.seed, 0, 2**63 - 1)
        if self.name in (".", "..") or any(c in self.name for c in "/\\\0"):
            raise UsageError(f"name is {self.name!r}: it must be the name of one folder, below out")
        if not self.init:
            raise UsageError("init is empty: give a checkpoint, or scratch")

    def check_runnable(self) -> None:
        """Check what a run needs besides valid values; defaults alone lack it.

        Raises:
            UsageError: no name, no store, or not exactly one of train.iterations and train.epochs.
        """
        if not self.name:
            raise UsageError("name is empty: give the run a name, such as name=trial")
        if not self.data.store:
            raise UsageError("data.store is empty: give the folder of a store, data.store=STORE")
        if (self.train.iterations is None) == (self.train.epochs is None):
            both = "both are given" if self.train.epochs else "neither is given"
            raise UsageError(f"give exactly one of train.iterations and train.epochs: {both}")


def _at_least(key: str, value: float, least: float) -> None:
    if not least <= value < 2**63:
        raise UsageError(f"{key} is {value}: it must be at least {least}")


def _between(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{key} is {value}: it must be between {low} and {high}")


def _choice(key: str, value: Any, choices: Sequence[str] | Sequence[int]) -> None:
    if value not in choices:
        raise UsageError(f"{key} is {value!r}: choose one of {', '.join(map(str, choices))}")
