"""The schema of a run's configuration, and what each value must be by itself.

What depends on the store or on the number of processes is checked where these are known, at the
start of a run.
"""

from dataclasses import dataclass, field
from typing import Literal

from fastrot.config.values import ABOVE_0, Section, between, key, least
from pipelines.errors import UsageError

Depth = Literal[10, 18, 34]
Modality = Literal["rgb", "dif"]
CameraMotion = Literal["keep", "remove"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Shortcut = Literal["A", "B"]
StemChannels = Literal[3, 4, 8]

BUILT_IN_TASKS = ("rotation", "action")

SCRATCH = "scratch"

MANY_CLIPS = 2**20

# Mean and std of the pixels in units of the full range, by modality. RGB: the authors' released code.
# DIF: open in the paper; differences are centred, and 0.1 is about their spread on real videos.
STATISTICS: dict[str, tuple[list[float], list[float]]] = {
    "rgb": ([0.4339, 0.4046, 0.3776], [0.151987, 0.14855, 0.1569]),
    "dif": ([0.0, 0.0, 0.0], [0.1, 0.1, 0.1]),
}


@dataclass(frozen=True)
class DataConfig(Section):
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
    source: Literal["store", "reader"] = "store"
    split: str = "all"
    eval_split: str | None = None
    modality: Modality = "rgb"
    frames: int = key(16, between(1, 4096))
    stride: int = key(1, between(1, 4096))
    crop: int = key(112, between(1, 8192))
    camera_motion: CameraMotion = "keep"
    dead_zone: int = key(0, between(0, 254))
    flip: float = key(0.5, between(0, 1))
    mean: list[float] | None = key(None, between(-100, 100))
    std: list[float] | None = key(None, between(-100, 100))
    threads: int = key(0, between(0, 1024))
    prefetch: int = key(2, between(1, 64))
    hw_decoder_load: float = key(0.65, between(0, 1))
    shots: int = key(0, least(0))
    videos: int = key(0, least(0))
    size: int = key(136, between(1, 8192))
    step: int = key(8, least(1))
    broken_share: float = key(0.01, between(0, 1))
    check: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.modality != "dif":
            for name, off in (("camera_motion", "keep"), ("dead_zone", 0)):
                if (value := getattr(self, name)) != off:
                    raise UsageError(
                        f"data.{name} is {value!r}, which is for differences: give data.modality=dif too"
                    )
        if self.shots and self.videos:
            raise UsageError("data.shots and data.videos exclude each other: set one of them to 0")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) != 3:
                raise UsageError(f"data.{name} is {values}: give three numbers, one per channel")
        if self.std is not None and min(self.std) < 1e-6:
            raise UsageError(f"data.std is {self.std}: each must be above 0 (1e-6 at least)")

    @property
    def statistics(self) -> tuple[list[float], list[float]]:
        """Mean and std per channel, those of the modality where none are given."""
        mean, std = STATISTICS[self.modality]
        return self.mean or mean, self.std or std


@dataclass(frozen=True)
class RotationConfig(Section):
    """The pretext task.

    ``kind`` classify tells ``degrees`` (counter-clockwise) apart; regress predicts any of 360 degrees by
    the ``loss`` l1 or l2 (eq. 1), from ``views`` rotations of each clip.
    """

    kind: Literal["classify", "regress"] = "classify"
    degrees: list[int] = key([0, 90, 180, 270], between(0, 359))
    loss: Literal["l1", "l2"] = "l2"
    views: int = key(4, between(1, 360))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= len(self.degrees) <= 360 or len(set(self.degrees)) != len(self.degrees):
            raise UsageError(f"rotation.degrees is {self.degrees}: give 2 to 360 different angles")


@dataclass(frozen=True)
class ModelConfig(Section):
    """The 3D ResNet: its depth, kernels of the first block, and kind of shortcut (Hara et al.).

    ``freeze`` is how many of the five convolution blocks training leaves as they are (figure 4a), and
    ``dropout`` the probability of dropping a feature before the transfer head. ``stem_channels`` 4 or 8
    pads the clips' 3 colours by zeros, for GPUs whose kernels want that: the first convolution's
    weights stay 3 channels wide, and the results the same but for rounding.
    """

    depth: Depth = 18
    width: int = key(64, between(1, 1024))
    shortcut: Shortcut = "A"
    freeze: int = key(0, between(0, 5))
    dropout: float = key(0.0, between(0, 0.99))
    stem_channels: StemChannels = 3


@dataclass(frozen=True)
class OptimConfig(Section):
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

    lr: float = key(0.1, ABOVE_0)
    momentum: float = key(0.9, between(0, 1))
    weight_decay: float = key(1e-3, least(0))
    nesterov: bool = False
    schedule: Literal["constant", "step", "onecycle", "cosine"] = "step"
    step_size: int = key(24_000, least(1))
    step_unit: Literal["iterations", "epochs"] = "iterations"
    gamma: float = key(0.1, between(0, 1))
    warmup: int = key(0, least(0))
    lr_batch: int = key(0, least(0))
    clip_norm: float = key(0.0, least(0))
    decay_norms: bool = True
    backend: Literal["torch", "apex", "auto"] = "torch"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup and self.schedule == "onecycle":
            raise UsageError("optim.warmup is part of the one-cycle schedule already: set it to 0")
        if self.nesterov and self.momentum == 0:
            raise UsageError("optim.nesterov needs optim.momentum above 0")


@dataclass(frozen=True)
class TrainConfig(Section):
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

    batch: int = key(32, between(1, MANY_CLIPS))
    iterations: int | None = key(None, least(1))
    epochs: float | None = key(None, ABOVE_0)
    accumulate: int = key(1, between(1, MANY_CLIPS))
    precision: Precision = "auto"
    log_every: int = key(20, least(1))
    eval_every: int = key(0, least(0))
    checkpoint_every: int = key(1000, least(0))
    keep: int = key(2, least(0))
    sync_bn: bool = False
    label_smoothing: float = key(0.0, between(0, 1))
    compile: bool = False
    affinity: bool = True
    threads: int | None = key(None, between(1, 1024))
    timeout_s: float = key(600.0, between(1, 1_000_000))


@dataclass(frozen=True)
class EvalConfig(Section):
    """Evaluation during training: uniform clips of each video, and clips a batch and process."""

    clips_per_video: int = key(1, between(1, 10_000))
    batch: int = key(16, between(1, MANY_CLIPS))


@dataclass(frozen=True)
class ProfileConfig(Section):
    """A window of torch's profiler, written into the run's folder as profile.json, a Chrome trace.

    It records ``steps`` steps (0: it is off) after ``wait`` steps that run as ever and ``warmup`` that
    are profiled and forgotten, in the first process.
    """

    steps: int = key(0, least(0))
    wait: int = key(10, least(0))
    warmup: int = key(2, least(0))


@dataclass(frozen=True)
class LogConfig:
    """What a run writes besides ``metrics.jsonl``: ``tensorboard`` draws its numbers as curves."""

    tensorboard: bool = False


@dataclass(frozen=True)
class Config(Section):
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
    seed: int = key(0, between(0, 2**63 - 1))
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
        super().__post_init__()
        _check_task(self.task)
        if (
            self.name in (".", "..")
            or set(self.name) & set("/\\")
            or len(self.name.encode(errors="replace")) > 200
        ):
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


def _check_task(name: str) -> None:
    """Check the form of a task's name; whether there is such a class shows when it is imported."""
    module, _, own = name.partition(":")
    of_ones_own = own.isidentifier() and all(part.isidentifier() for part in module.split("."))
    if name not in BUILT_IN_TASKS and (not of_ones_own or module.endswith(".py")):
        raise UsageError(
            f"task is {name!r}: choose one of {', '.join(BUILT_IN_TASKS)}, or name a task of your own as "
            "module:Class, such as mine:ArrowOfTime of mine.py"
        )
