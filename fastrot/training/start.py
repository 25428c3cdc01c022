"""The start of a training run: its data, its network, and the checkpoint that it resumes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastrot.config import Config
from fastrot.config.schema import SCRATCH
from fastrot.data.training_data import TrainingData
from fastrot.distributed.runtime import Runtime
from fastrot.models.flops import train_flops
from fastrot.models.weight_files import start_from
from fastrot.runs.run_folder import RunFolder
from fastrot.tasks import Task, make_task
from fastrot.training.optim import count_steps
from fastrot.training.result import Standing
from fastrot.training.resume import find_saved
from fastrot.training.rng import seed_rngs
from fastrot.training.trainer import Trainer
from pipelines.errors import UsageError


@dataclass(frozen=True)
class Start:
    """A run before its first step in this process.

    Attributes:
        config: The config of the run.
        runtime: The processes and their device.
        folder: Folder of the run, not yet opened.
        data: The training data.
        task: The task to train.
        trainer: The network and its optimizer, at the current step.
        steps: Iterations of the whole run.
        standing: The results of the run so far; updated during training.
        identity: Values that must not change when the run is resumed.
        positions: The position of each process in its data, for a resumed run.
        evaluation_owed: Whether the current step still has to be evaluated.
        notes: Log lines about the weights and the checkpoint.
        other: Checkpoint of another run that this run begins from, if it does.
    """

    config: Config
    runtime: Runtime
    folder: RunFolder
    data: TrainingData
    task: Task
    trainer: Trainer
    steps: int
    standing: Standing
    identity: Mapping[str, Any]
    positions: Sequence[bytes]
    evaluation_owed: bool
    notes: Sequence[str]
    other: Path | None

    @property
    def done(self) -> bool:
        """Whether the run is complete."""
        return self.trainer.step >= self.steps and not self.evaluation_owed

    @property
    def flops(self) -> int:
        """Floating-point operations of training per clip."""
        model, data = self.config.model, self.config.data
        size = self.task.input_size(data.crop)
        return train_flops(
            model.depth, model.width, data.frames, size, model.shortcut, frozen=model.freeze
        )


def begin(
    config: Config,
    runtime: Runtime,
    folder: RunFolder,
    data: TrainingData,
    *,
    resume: bool,
    resume_from: Path | str | None,
    anyway: bool,
) -> Start:
    """Find the checkpoint to resume from, if any, and create the trainer.

    Args:
        config: The config of the run.
        runtime: All of its processes must call this function.
        folder: Folder of the run.
        data: The training data.
        resume: Resume from the newest intact checkpoint, if there is one.
        resume_from: Otherwise begin from this checkpoint of another run, or from the last one in its folder.
        anyway: Allow the config to differ from that of the checkpoint, and use the new values.

    Raises:
        UsageError: A resumed run has changed, or the checkpoint of another run is at the end of this one.
        FastrotError: A checkpoint or the initial weights are missing, damaged or do not fit.
    """
    task = make_task(config, data.classes)
    steps = count_steps(config.train, data.videos)
    identity = {
        "videos": data.digest,
        "slots": runtime.world * config.train.accumulate,
        "short_clips": data.short_clips,
    }
    saved = find_saved(
        folder, runtime, config, identity, own=resume, other=resume_from, anyway=anyway
    )
    other = None if saved is None else saved.other
    if saved is not None and other is not None and saved.values["step"] >= steps:
        raise UsageError(
            f"{other} is at step {saved.values['step']}, and the run ends after step {steps}: increase "
            "train.iterations or train.epochs, or choose an earlier checkpoint"
        )
    notes = [] if saved is None else saved.notes
    seed_rngs(config.seed)
    network = task.network(config.model)
    if saved is None and config.init != SCRATCH:
        notes.append(start_from(config.init, network, partial=config.init_partial))
    network.freeze(config.model.freeze)
    runtime.place(network)
    per_epoch = data.videos / config.train.batch
    trainer = Trainer(config, task, network, runtime, steps=steps, steps_per_epoch=per_epoch)
    if saved is not None:
        trainer.load(saved.values, changed=anyway)
    return Start(
        config,
        runtime,
        folder,
        data,
        task,
        trainer,
        steps,
        standing=Standing() if saved is None else saved.standing,
        identity=identity,
        positions=() if saved is None else saved.values["positions"],
        evaluation_owed=bool(saved and saved.evaluation_owed and config.data.eval_split),
        notes=notes,
        other=other,
    )
