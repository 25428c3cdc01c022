"""The schema of a run's configuration, with the checks of single values.

Checks that depend on the store or on the number of processes are made at the start of a run.
"""

from dataclasses import dataclass, field
from typing import Literal

from fastrot.config.data_config import MOST_STRIDE, DataConfig
from fastrot.config.values import ABOVE_0, Section, between, key, least
from pipelines.errors import UsageError

Depth = Literal[10, 18, 34]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Shortcut = Literal["A", "B"]
StemChannels = Literal[3, 4, 8]

BUILT_IN_TASKS = ("rotation", "action")

SCRATCH = "scratch"

MANY_CLIPS = 2**20


@dataclass(frozen=True)
class RotationConfig(Section):
    """The pretext task.

    ``kind: classify`` classifies rotations by ``degrees`` (counter-clockwise). ``kind: regress`` predicts
    any of 360 degrees with the ``loss`` l1 or l2 (eq. 1), from ``views`` rotations of each clip.

    ``speeds``, such as [1, 2, 4], also classifies the playback speed (ours, not the paper's): each clip is
    played at one of these multiples of ``data.stride``, and the cross entropy of the speed is added to that
    of the rotation ``speed_weight`` times. The empty list is off.
    """

    kind: Literal["classify", "regress"] = "classify"
    degrees: list[int] = key([0, 90, 180, 270], between(0, 359))
    loss: Literal["l1", "l2"] = "l2"
    views: int = key(4, between(1, 360))
    speeds: list[int] = key([], between(1, MOST_STRIDE))
    speed_weight: float = key(1.0, ABOVE_0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= len(self.degrees) <= 360 or len(set(self.degrees)) != len(self.degrees):
            raise UsageError(f"rotation.degrees is {self.degrees}: give 2 to 360 different angles")
        if self.speeds:
            if not 2 <= len(self.speeds) <= 16 or len(set(self.speeds)) != len(self.speeds):
                raise UsageError(
                    f"rotation.speeds is {self.speeds}: give 2 to 16 different speeds, or [] for none"
                )
            if self.kind != "classify":
                raise UsageError(
                    f"rotation.speeds is {self.speeds}, but needs rotation.kind=classify: set it to []"
                )


@dataclass(frozen=True)
class ModelConfig(Section):
    """The 3D ResNet: its depth, width (kernels of the first block) and type of shortcut (Hara et al.).

    ``freeze`` is the number of convolution blocks, out of five, that are not trained (figure 4a).
    ``dropout`` is the probability of dropping a feature before the transfer head. ``stem_channels`` 4 or 8
    pads the 3 colour channels with zeros, for GPUs whose kernels need this. The weights of the first
    convolution still have 3 channels, and the results differ only by rounding.
    """

    depth: Depth = 18
    width: int = key(64, between(1, 1024))
    shortcut: Shortcut = "A"
    freeze: int = key(0, between(0, 5))
    dropout: float = key(0.0, between(0, 0.99))
    stem_channels: StemChannels = 3


@dataclass(frozen=True)
class OptimConfig(Section):
    """SGD and its learning rate schedule, which is updated every iteration.

    ``schedule: step`` multiplies ``lr`` by ``gamma`` every ``step_size`` iterations (or epochs, see
    ``step_unit``). ``onecycle`` rises from lr / 25 to ``lr`` in the first 30 % and falls to almost 0 at the
    end. ``cosine`` falls to 0 along a half cosine. ``constant`` does not change. ``warmup`` multiplies every
    schedule except onecycle by a factor that rises linearly to 1 in this many iterations: the drops of
    ``step`` remain at multiples of ``step_size``, and ``cosine`` starts to fall after the warm-up.
    ``lr_batch`` scales ``lr`` by train.batch / lr_batch (0: no scaling). ``clip_norm`` limits the norm of
    all gradients (0: no limit).
    ``decay_norms: false`` exempts BatchNorm and biases from ``weight_decay``. ``backend`` selects the SGD
    implementation: torch (fused on a GPU), apex (NVIDIA's FusedSGD), or auto: apex if it is installed and
    works, except for fp16, where it would make the host wait for the GPU at every step.
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
            raise UsageError(
                f"optim.warmup is {self.warmup}, but optim.schedule=onecycle has its own warm-up: set it to 0"
            )
        if self.nesterov and self.momentum == 0:
            raise UsageError("optim.nesterov needs optim.momentum above 0")


@dataclass(frozen=True)
class TrainConfig(Section):
    """Length of the training, batches, precision and processes.

    ``batch`` is the number of videos per step over all processes and accumulated micro-batches. Set exactly
    one of ``iterations`` and ``epochs``. ``precision: auto`` is bf16 on GPUs that support it, fp16 on older
    GPUs, and fp32 on CPUs, which support nothing else. The ``*_every`` keys count iterations; 0 for
    ``eval_every`` and ``checkpoint_every`` means at the end only. ``keep`` is the number of recent
    checkpoints kept under their step number, in addition to ``last.pt`` and ``best.pt``. ``sync_bn`` computes
    BatchNorm statistics over all processes (GPUs only). ``label_smoothing`` applies to actions. ``compile``
    trains the network with torch.compile, which takes a minute or more at the start. ``affinity`` binds each
    of several processes on a machine to its own cores, near its GPU. ``threads`` is the number of torch's
    compute threads per process; null uses OMP_NUM_THREADS if you set it (a 1 set by torchrun is ignored),
    otherwise the process's share of the cores. The first line of the log reports which one was used. If a
    process does not respond for ``timeout_s`` seconds, the run ends with an error that names it.
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
    """Evaluation during training: uniform clips per video, and clips per batch and process."""

    clips_per_video: int = key(1, between(1, 10_000))
    batch: int = key(16, between(1, MANY_CLIPS))


@dataclass(frozen=True)
class ProfileConfig(Section):
    """The torch profiler, which writes a Chrome trace to profile.json in the run's folder.

    It records ``steps`` steps (0: off) in the first process, after ``wait`` steps without profiling and
    ``warmup`` profiled steps that are discarded.
    """

    steps: int = key(0, least(0))
    wait: int = key(10, least(0))
    warmup: int = key(2, least(0))


@dataclass(frozen=True)
class LogConfig(Section):
    """Logs in addition to ``metrics.jsonl``, with the same numbers.

    ``tensorboard`` writes them as TensorBoard curves. ``wandb`` is a project of Weights & Biases to log
    them to (null: none). A resumed run continues its run there.
    """

    tensorboard: bool = False
    wandb: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.wandb is not None and not self.wandb.strip():
            raise UsageError("log.wandb is empty: set it to the name of a project, or to null")


@dataclass(frozen=True)
class Config(Section):
    """One training run.

    ``task`` is ``rotation`` (pretext), ``action`` (transfer), or a custom pretext task as
    ``package.module:Class`` (docs/extending.md). The run's folder is ``out``/``name``. ``seed`` determines
    the initial weights, the clips and the few-shot subset. ``init`` is a checkpoint to initialise the
    network from (all but its last layers), or ``scratch``. Files in Hara's or torchvision's format also
    work. ``init_partial`` uses the weights of a file that fit, and leaves the rest randomly initialised.
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
        if self.rotation.speeds:
            _check_speeds(self.rotation.speeds, self.task, self.data)
        if (
            self.name in (".", "..")
            or set(self.name) & set("/\\")
            or len(self.name.encode(errors="replace")) > 200
        ):
            raise UsageError(
                f"name is {self.name!r}: it must be one folder name, at most 200 bytes and without slashes"
            )
        if not self.init:
            raise UsageError("init is empty: set it to a checkpoint or to scratch")

    def check_runnable(self) -> None:
        """Check that the keys without a usable default are set.

        Raises:
            UsageError: There is no name, no store, or not exactly one of train.iterations and train.epochs.
        """
        if not self.name:
            raise UsageError("name is empty: set a name for the run, such as name=trial")
        if not self.data.store:
            raise UsageError(
                "data.store is empty: set it to the folder of a store, data.store=STORE"
            )
        if (self.train.iterations is None) == (self.train.epochs is None):
            both = "both are set" if self.train.epochs else "neither is set"
            raise UsageError(f"set exactly one of train.iterations and train.epochs: {both}")


def _check_speeds(speeds: list[int], task: str, data: DataConfig) -> None:
    """Check that the task has speeds, and that the clips can be played at them."""
    if task != "rotation":
        raise UsageError(f"rotation.speeds is {speeds}, but task is {task}: set it to []")
    if data.frames == 1 and data.modality == "rgb":
        raise UsageError(f"rotation.speeds is {speeds}, but data.frames is 1: use at least 2")
    if data.stride * max(speeds) > MOST_STRIDE:
        raise UsageError(
            f"rotation.speeds is {speeds}, which at data.stride={data.stride} is more than "
            f"{MOST_STRIDE} frames: use lower speeds"
        )


def _check_task(name: str) -> None:
    """Check the form of a task's name; a missing class is reported when it is imported."""
    module, _, own = name.partition(":")
    of_ones_own = own.isidentifier() and all(part.isidentifier() for part in module.split("."))
    if name not in BUILT_IN_TASKS and (not of_ones_own or module.endswith(".py")):
        raise UsageError(
            f"task is {name!r}: choose one of {', '.join(BUILT_IN_TASKS)}, or a custom task as module:Class, "
            "such as mine:ArrowOfTime for the class ArrowOfTime in mine.py"
        )
