"""The schema of a run's configuration, and what each value must be by itself.

What depends on the store or on the number of processes is checked where these are known, at the
start of a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from fastrot.config.values import shown, unprintable
from pipelines.errors import UsageError

Source = Literal["store", "reader"]
Depth = Literal[10, 18, 34]
Modality = Literal["rgb", "dif"]
CameraMotion = Literal["keep", "remove"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Schedule = Literal["constant", "step", "onecycle", "cosine"]
StepUnit = Literal["iterations", "epochs"]
Shortcut = Literal["A", "B"]
StemChannels = Literal[3, 4, 8]
OptimBackend = Literal["torch", "apex", "auto"]
RotationKind = Literal["classify", "regress"]
RegressionLoss = Literal["l1", "l2"]

BUILT_IN_TASKS = ("rotation", "action")

SCRATCH = "scratch"

# Ends of ranges that nobody means: beyond them is a slip of the finger, or a trick.
MANY = 10**9
MANY_CLIPS = 2**20

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
    the loader (0: one for each core of the process's share), which prepares ``prefetch`` batches ahead; up
    to four of them read, and all where clips are raw, for they are cropped there. ``shots`` keeps that many
    videos of each class (0: all), ``videos`` that many in all (0: all); smaller draws by the same seed are
    parts of larger ones.
    ``hw_decoder_load`` is the share of an mjpeg store's frames that a GPU's hardware JPEG decoder takes,
    0 to 1, where there is one.

    For DIF, ``camera_motion: remove`` lays each frame over the next one before it is taken away, and
    ``dead_zone`` brings differences nearer to 0 by so many of their 255 levels (docs/cheap_cues.md).

    ``check`` compares what is read with the store's checksums. A clip that cannot be read or decoded is
    replaced by the plan's next, and its video named in the log, until more than ``broken_share`` of the
    clips are (ten are always borne at the 0.01 that it is by default: it is a share of a thousand at least).

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
    camera_motion: CameraMotion = "keep"
    dead_zone: int = 0
    flip: float = 0.5
    mean: list[float] | None = None
    std: list[float] | None = None
    threads: int = 0
    prefetch: int = 2
    hw_decoder_load: float = 0.65
    shots: int = 0
    videos: int = 0
    size: int = 136
    step: int = 8
    broken_share: float = 0.01
    check: bool = True

    def __post_init__(self) -> None:
        _choice("data.source", self.source, get_args(Source))
        _choice("data.modality", self.modality, get_args(Modality))
        for key in ("store", "split", "eval_split"):
            _text(f"data.{key}", getattr(self, key))
        most = {"frames": 4096, "stride": 4096, "crop": 8192, "prefetch": 64, "size": 8192}
        for key, high in most.items():
            _between(f"data.{key}", getattr(self, key), 1, high)
        _between("data.threads", self.threads, 0, 1024)
        _at_least("data.step", self.step, 1)
        for key in ("shots", "videos"):
            _at_least(f"data.{key}", getattr(self, key), 0)
        _between("data.flip", self.flip, 0, 1)
        _between("data.hw_decoder_load", self.hw_decoder_load, 0, 1)
        _choice("data.camera_motion", self.camera_motion, get_args(CameraMotion))
        _between("data.dead_zone", self.dead_zone, 0, 254)
        for key, asked in (
            ("camera_motion", self.camera_motion == "remove"),
            ("dead_zone", self.dead_zone > 0),
        ):
            if asked and self.modality != "dif":
                raise UsageError(
                    f"data.{key} is {getattr(self, key)!r}, which is for differences: "
                    "give data.modality=dif too"
                )
        _between("data.broken_share", self.broken_share, 0, 1)
        if self.shots and self.videos:
            raise UsageError("data.shots and data.videos exclude each other: set one of them to 0")
        for key in ("mean", "std"):
            values = getattr(self, key)
            if values is not None and len(values) != 3:
                raise UsageError(
                    f"data.{key} is {shown(values)}: give three numbers, one per channel"
                )
            for value in values or ():
                _between(f"data.{key}", value, -100, 100)
        if self.std is not None and min(self.std) < 1e-6:
            raise UsageError(f"data.std is {self.std}: each must be above 0 (1e-6 at least)")

    @property
    def statistics(self) -> tuple[list[float], list[float]]:
        """Mean and std per channel, those of the modality where none are given."""
        mean, std = STATISTICS[self.modality]
        return self.mean or mean, self.std or std


@dataclass(frozen=True)
class RotationConfig:
    """The pretext task.

    ``kind`` classify tells ``degrees`` (counter-clockwise) apart; regress predicts any of 360 degrees by
    the ``loss`` l1 or l2 (eq. 1), from ``views`` rotations of each clip.
    """

    kind: RotationKind = "classify"
    degrees: list[int] = field(default_factory=lambda: [0, 90, 180, 270])
    loss: RegressionLoss = "l2"
    views: int = 4

    def __post_init__(self) -> None:
        _choice("rotation.kind", self.kind, get_args(RotationKind))
        _choice("rotation.loss", self.loss, get_args(RegressionLoss))
        _between("rotation.views", self.views, 1, 360)
        if not 2 <= len(self.degrees) <= 360 or len(set(self.degrees)) != len(self.degrees):
            raise UsageError(
                f"rotation.degrees is {shown(self.degrees)}: give 2 to 360 different angles"
            )
        for degrees in self.degrees:
            _between("rotation.degrees", degrees, 0, 359)


@dataclass(frozen=True)
class ModelConfig:
    """The 3D ResNet: its depth, kernels of the first block, and kind of shortcut (Hara et al.).

    ``freeze`` is how many of the five convolution blocks training leaves as they are (figure 4a), and
    ``dropout`` the probability of dropping a feature before the transfer head. ``stem_channels`` 4 or 8
    pads the clips' 3 colours by zeros, for GPUs whose kernels want that: the first convolution's
    weights stay 3 channels wide, and the results the same but for rounding.
    """

    depth: Depth = 18
    width: int = 64
    shortcut: Shortcut = "A"
    freeze: int = 0
    dropout: float = 0.0
    stem_channels: StemChannels = 3

    def __post_init__(self) -> None:
        _between("model.freeze", self.freeze, 0, 5)
        _between("model.dropout", self.dropout, 0, 0.99)
        _choice("model.depth", self.depth, get_args(Depth))
        _between("model.width", self.width, 1, 1024)
        _choice("model.shortcut", self.shortcut, get_args(Shortcut))
        _choice("model.stem_channels", self.stem_channels, get_args(StemChannels))


@dataclass(frozen=True)
class OptimConfig:
    """SGD and its learning rate's schedule, which moves every iteration.

    ``step`` multiplies ``lr`` by ``gamma`` every ``step_size`` iterations, or epochs where ``step_unit``
    says so; ``onecycle`` rises from lr / 25 to ``lr`` in the first 30 % and falls to almost 0 by the
    end; ``cosine`` falls to 0 along a half cosine; ``constant`` stays. ``warmup`` multiplies any but
    onecycle by a factor that rises linearly to 1 in so many iterations: the drops of ``step`` stay at
    the multiples of ``step_size``, and ``cosine`` falls from the end of the warm-up on. ``lr_batch``
    scales ``lr`` by train.batch / lr_batch (0: it is as given, for whatever batch). ``clip_norm`` bounds
    the norm of all gradients (0: no bound).
    ``decay_norms: false`` exempts BatchNorm and biases from ``weight_decay``. ``backend`` is whose SGD:
    torch's (fused on a GPU), NVIDIA apex's FusedSGD, or auto: apex's where it is installed and works, but
    for fp16, with which the host would wait for the GPU at every step.
    """

    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-3
    nesterov: bool = False
    schedule: Schedule = "step"
    step_size: int = 24_000
    step_unit: StepUnit = "iterations"
    gamma: float = 0.1
    warmup: int = 0
    lr_batch: int = 0
    clip_norm: float = 0.0
    decay_norms: bool = True
    backend: OptimBackend = "torch"

    def __post_init__(self) -> None:
        if not 0 < self.lr <= 1e6:
            raise UsageError(f"optim.lr is {self.lr}: it must be above 0 (and at most 1e6)")
        _between("optim.momentum", self.momentum, 0, 1)
        _at_least("optim.weight_decay", self.weight_decay, 0)
        _choice("optim.schedule", self.schedule, get_args(Schedule))
        _choice("optim.step_unit", self.step_unit, get_args(StepUnit))
        _choice("optim.backend", self.backend, get_args(OptimBackend))
        _at_least("optim.step_size", self.step_size, 1)
        for key in ("warmup", "lr_batch", "clip_norm"):
            _at_least(f"optim.{key}", getattr(self, key), 0)
        if self.warmup and self.schedule == "onecycle":
            raise UsageError("optim.warmup is part of the one-cycle schedule already: set it to 0")
        _between("optim.gamma", self.gamma, 0, 1)
        if self.nesterov and self.momentum == 0:
            raise UsageError("optim.nesterov needs optim.momentum above 0")


@dataclass(frozen=True)
class TrainConfig:
    """How long and in what portions.

    ``batch`` is the videos of one step over all processes and accumulated micro-batches. Exactly one
    of ``iterations`` and ``epochs`` is given. ``precision`` auto is bf16 on a GPU that has it, fp16
    on an older one, fp32 on a CPU, which takes no other. The ``*_every`` count iterations; ``eval_every`` and
    ``checkpoint_every`` 0 mean at the end only. ``keep`` is the number of newest checkpoints kept
    under their step's number beside ``last.pt`` and ``best.pt``. ``sync_bn`` takes BatchNorm's statistics
    over all processes (GPUs only). ``label_smoothing`` is for actions. ``compile`` trains the network
    through torch.compile, which takes a minute or more at the start. ``affinity`` gives each of several
    processes of a machine cores of its own, near its GPU. ``threads`` is how many torch computes with in
    each process; null takes OMP_NUM_THREADS where you set it (a 1 that torchrun sets does not count), else
    the process's share of the cores, and the log's first line says which. A process that does not answer for
    ``timeout_s`` seconds is given up, and the run ends with an error that names it.
    """

    batch: int = 32
    iterations: int | None = None
    epochs: float | None = None
    accumulate: int = 1
    precision: Precision = "auto"
    log_every: int = 20
    eval_every: int = 0
    checkpoint_every: int = 1000
    keep: int = 2
    sync_bn: bool = False
    label_smoothing: float = 0.0
    compile: bool = False
    affinity: bool = True
    threads: int | None = None
    timeout_s: float = 600.0

    def __post_init__(self) -> None:
        _between("train.batch", self.batch, 1, MANY_CLIPS)
        _between("train.accumulate", self.accumulate, 1, MANY_CLIPS)
        _at_least("train.log_every", self.log_every, 1)
        for key in ("eval_every", "checkpoint_every", "keep"):
            _at_least(f"train.{key}", getattr(self, key), 0)
        _between("train.label_smoothing", self.label_smoothing, 0, 1)
        if self.threads is not None:
            _between("train.threads", self.threads, 1, 1024)
        _between("train.timeout_s", self.timeout_s, 1, 1e6)
        if self.iterations is not None:
            _at_least("train.iterations", self.iterations, 1)
        if self.epochs is not None and not 0 < self.epochs <= 1e6:
            raise UsageError(f"train.epochs is {self.epochs}: it must be above 0 (and at most 1e6)")
        _choice("train.precision", self.precision, get_args(Precision))


@dataclass(frozen=True)
class EvalConfig:
    """Evaluation during training: uniform clips of each video, and clips a batch and process."""

    clips_per_video: int = 1
    batch: int = 16

    def __post_init__(self) -> None:
        _between("eval.clips_per_video", self.clips_per_video, 1, 10_000)
        _between("eval.batch", self.batch, 1, MANY_CLIPS)


@dataclass(frozen=True)
class ProfileConfig:
    """A window of torch's profiler, written into the run's folder as profile.json, a Chrome trace.

    It records ``steps`` steps (0: it is off) after ``wait`` steps that run as ever and ``warmup`` that
    are profiled and forgotten, in the first process.
    """

    steps: int = 0
    wait: int = 10
    warmup: int = 2

    def __post_init__(self) -> None:
        for key in ("steps", "wait", "warmup"):
            _at_least(f"profile.{key}", getattr(self, key), 0)


@dataclass(frozen=True)
class LogConfig:
    """What a run writes besides ``metrics.jsonl``: ``tensorboard`` draws its numbers as curves."""

    tensorboard: bool = False


@dataclass(frozen=True)
class Config:
    """One training run.

    ``task`` is ``rotation`` (pretext), ``action`` (transfer), or a pretext task of your own as
    ``package.module:Class`` (docs/extending.md); the run's folder is ``out``/``name``; ``seed``
    decides the first weights, the clips and the few-shot subset; ``init`` is a checkpoint whose
    network is started from (all but its last layers), or ``scratch``. Files in Hara's or
    torchvision's form do too; ``init_partial`` takes of a file what fits, and leaves the rest as it is.
    """

    task: str = "rotation"
    name: str = ""
    out: str = "runs"
    seed: int = 0
    init: str = SCRATCH
    init_partial: bool = False
    data: DataConfig = field(default_factory=DataConfig)
    rotation: RotationConfig = field(default_factory=RotationConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    profile: ProfileConfig = field(default_factory=ProfileConfig)
    log: LogConfig = field(default_factory=LogConfig)

    def __post_init__(self) -> None:
        _task(self.task)
        _between("seed", self.seed, 0, 2**63 - 1)
        for key in ("name", "out", "init"):
            _text(key, getattr(self, key))
        if self.name in (".", "..") or set(self.name) & set("/\\") or len(self.name.encode()) > 200:
            raise UsageError(
                f"name is {shown(self.name)}: it must be the name of one folder, below out"
            )
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
    if not least <= value <= MANY:
        raise UsageError(
            f"{key} is {shown(value)}: it must be at least {least} (and at most {MANY})"
        )


def _between(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{key} is {shown(value)}: it must be between {low} and {high}")


def _choice(key: str, value: Any, choices: Sequence[str] | Sequence[int]) -> None:
    # True equals 1 to Python, not to a reader of a config
    if value not in choices or isinstance(value, bool | float):
        raise UsageError(f"{key} is {shown(value)}: choose one of {', '.join(map(str, choices))}")


def _text(key: str, value: str | None) -> None:
    if value is not None and (len(value) > 2000 or unprintable(value)):
        raise UsageError(
            f"{key} is {shown(value)}: it must be a short text without control characters"
        )


def _task(name: str) -> None:
    """Check the form of a task's name; whether there is such a class shows when it is imported."""
    module, _, own = name.partition(":")
    of_ones_own = own.isidentifier() and all(part.isidentifier() for part in module.split("."))
    if name in BUILT_IN_TASKS or (of_ones_own and len(name) < 200 and not module.endswith(".py")):
        return
    raise UsageError(
        f"task is {shown(name)}: choose one of {', '.join(BUILT_IN_TASKS)}, or name a task of your own as "
        "module:Class, such as mine:ArrowOfTime of mine.py"
    )
