"""A training run from its config to its last checkpoint, for both tasks."""

import json
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastrot import __version__, console
from fastrot.checkpoint import load_checkpoint, save_checkpoint
from fastrot.config import Config, ProfileConfig, to_mapping
from fastrot.config.schema import SCRATCH
from fastrot.evaluation.action import ActionResult, evaluate_action
from fastrot.evaluation.angles import evaluate_pretext
from fastrot.evaluation.trained import Trained
from fastrot.models.flops import train_flops
from fastrot.models.weights import start_from
from fastrot.profiling import profiled
from fastrot.runs import RunFolder, versions
from fastrot.runtime import Runtime
from fastrot.tasks import ActionTask, make_task
from fastrot.training.clock import Clock
from fastrot.training.data import training_data
from fastrot.training.interrupt import INTERRUPTED, Agreement, Interrupt
from fastrot.training.optim import count_steps, scaled_lr
from fastrot.training.result import Standing, TrainResult
from fastrot.training.resume import check_resumable, config_hash, newest_good
from fastrot.training.rng import seed_rngs
from fastrot.training.trainer import Trainer
from pipelines.errors import FastrotError, PreemptedError
from pipelines.loader import BatchLoader


def train(
    config: Config,
    *,
    resume: bool = False,
    anyway: bool = False,
    quiet: bool = False,
    what: str | None = None,
) -> TrainResult:
    """Train as the config says, alone or as one of torchrun's processes.

    The first Ctrl-C, a SIGTERM or a SIGUSR1 ends the run after the step in hand (on several GPUs the one
    after it), with a checkpoint, in all processes. A second Ctrl-C ends it at once.

    Args:
        config: what to do.
        resume: go on from the run's last checkpoint, or begin if there is none yet. A run that is
            done already is left as it is. torchrun's restarts resume in any case.
        anyway: resume a run whose config has changed, with the new values.
        quiet: print no log lines, only progress; train.log has them all the same.
        what: the name on the progress display, instead of the run's.

    Raises:
        UsageError: the config does not fit the store or the processes; the run exists already; a
            resumed run has changed.
        FastrotError: a file is missing, damaged or cannot be written.
        KeyboardInterrupt: Ctrl-C, after the checkpoint was written.
        PreemptedError: a SIGTERM or SIGUSR1, after the checkpoint was written.
    """
    config.check_runnable()
    if config.task == "rotation":
        make_task(config, ())  # refuses wrong angles before any data is read
    resume = resume or anyway or int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0
    train_config = config.train
    with Runtime.start(
        train_config.precision, affinity=train_config.affinity, timeout_s=train_config.timeout_s
    ) as runtime:
        try:
            run = _Run(config, runtime, quiet=quiet, what=what or config.name)
            return run.train(resume=resume, anyway=anyway)
        except RuntimeError as error:
            explained = runtime.explained(error)
            if explained is error:
                raise
            raise explained from None


class _Run:
    """One process's part in a run."""

    def __init__(self, config: Config, runtime: Runtime, *, quiet: bool, what: str):
        self._config = config
        self._runtime = runtime
        self._quiet = quiet
        self._what = what
        self._folder = RunFolder(config, writes=runtime.is_main, quiet=quiet)
        self._data = training_data(config)
        self._task = make_task(config, self._data.classes)
        self._steps = count_steps(config.train, self._data.videos)
        # What a resumed run must find as it was.
        self._identity = {
            "videos": self._data.digest,
            "slots": runtime.world * config.train.accumulate,
            "short_clips": self._data.short_clips,
        }
        self._flops = train_flops(
            config.model.depth,
            config.model.width,
            config.data.frames,
            self._task.input_size(config.data.crop),
            config.model.shortcut,
            frozen=config.model.freeze,
        )
        self._standing = Standing()
        self._report = ""
        self._notes: list[str] = []
        self._loader: BatchLoader | None = None

    def train(self, *, resume: bool, anyway: bool) -> TrainResult:
        saved = self._saved(resume, anyway)
        trainer = self._trainer(saved, changed=anyway)
        if trainer.step >= self._steps:
            self._folder.log(f"{self._folder.path} is done already: {trainer.step} steps")
            return self._result(trainer)
        # Made before the folder, so that a batch or crop that does not fit leaves nothing behind.
        self._loader = loader = self._data.loader(
            self._runtime,
            start_step=trainer.step,
            steps=self._steps,
            positions=() if saved is None else saved["positions"],
        )
        with loader, closing(self._folder):
            self._runtime.on_main(
                lambda: self._folder.open(self._config, self._runtime, step=trainer.step)
            )
            self._introduce(trainer)
            shown = self._runtime.is_main
            with (
                Interrupt() as interrupt,
                Agreement(self._runtime) as agreement,
                console.progress(
                    self._steps, self._what, "steps", shown=shown, lines=self._quiet
                ) as advance,
                profiled(
                    self._config.profile if shown else ProfileConfig(),
                    self._folder.path / "profile.json",
                    done=self._folder.log,
                ) as profile_step,
            ):
                advance.to(trainer.step, self._steps)

                def stepped() -> None:
                    advance()
                    profile_step()

                self._loop(trainer, loader, lambda: agreement.highest(interrupt.asked), stepped)
        return self._result(trainer)

    def _saved(self, resume: bool, anyway: bool) -> dict[str, Any] | None:
        """Return the checkpoint to go on from, checked against the config; None to begin."""
        if not resume:
            self._runtime.on_main(self._folder.require_new)
            return None
        saved: dict[str, Any] | None = None

        def find() -> tuple[Path | None, list[str]]:
            nonlocal saved
            path, saved, notes = newest_good(self._folder.candidates())
            return path, notes

        path, notes = self._runtime.on_main(find)
        self._notes += notes
        if path is None:
            return None
        if saved is None:  # the first process has read it already
            saved = load_checkpoint(path)
        try:
            changes = check_resumable(path, saved, self._config, self._identity, anyway=anyway)
            self._standing = Standing(**saved["standing"])
            missing = {"positions", "rng", "optimizer", "scheduler", "scaler", "totals"} - set(
                saved
            )
            if missing or not isinstance(saved["rng"], list):
                raise KeyError(*sorted(missing or ["rng"]))
        except (KeyError, TypeError) as error:
            raise FastrotError(f"{path} is of another version of fastrot: {error}") from None
        if changes:
            self._notes.append(f"going on with changes: {'; '.join(changes)}")
        return saved

    def _trainer(self, saved: dict[str, Any] | None, *, changed: bool) -> Trainer:
        seed_rngs(self._config.seed)
        network = self._task.network(self._config.model)
        if saved is None and self._config.init != SCRATCH:
            self._report = start_from(self._config.init, network, partial=self._config.init_partial)
        network.freeze(self._config.model.freeze)
        self._runtime.place(network)
        trainer = Trainer(
            self._config,
            self._task,
            network,
            self._runtime,
            steps=self._steps,
            steps_per_epoch=self._data.videos / self._config.train.batch,
        )
        if saved is not None:
            trainer.load(saved, changed=changed)
        return trainer

    def _introduce(self, trainer: Trainer) -> None:
        config, task = self._config, self._task
        self._folder.log(self._runtime.describe())
        self._folder.log(
            f"{config.task}, {task.answer}, {self._data.videos} videos of {config.data.store} "
            f"(split {config.data.split}), batch {config.train.batch} videos = "
            f"{config.train.batch * task.views} clips a step, {self._steps} steps, init {config.init}"
        )
        optim, batch = config.optim, config.train.batch
        if optim.lr_batch:
            self._folder.log(
                f"learning rate {scaled_lr(optim, batch):g} = optim.lr {optim.lr:g} x batch {batch} / "
                f"optim.lr_batch {optim.lr_batch}, a batch of {batch // self._runtime.world} a process"
            )
        self._folder.log(trainer.optimizer_note)
        for note in filter(None, (self._report, *self._notes)):
            self._folder.log(note)
        if trainer.step:
            self._folder.log(f"going on after step {trainer.step}")

    def _loop(
        self,
        trainer: Trainer,
        loader: BatchLoader,
        asked: Callable[[], int],
        stepped: Callable[[], None],
    ) -> None:
        train = self._config.train
        clock = Clock(loader, trainer.step, self._standing.seconds)
        while trainer.step < self._steps:
            trainer.advance(loader)
            stepped()
            step, at_end = trainer.step, trainer.step == self._steps
            logging = at_end or _due(step, train.log_every)
            if logging:
                self._log(trainer, clock)
            if self._config.data.eval_split and (at_end or _due(step, train.eval_every)):
                with clock.stopped():
                    self._evaluate(trainer)
            stop = 0 if at_end else asked()
            if at_end or stop or _due(step, train.checkpoint_every):
                with clock.stopped():
                    self._save(trainer, self._folder.last)
                    self._keep(step)
            if stop:
                self._folder.log(
                    f"interrupted after step {step}, saved in {self._folder.last}: "
                    "the same command with --resume goes on"
                )
                raise KeyboardInterrupt if stop == INTERRUPTED else PreemptedError

    def _report_replaced(self, step: int) -> None:
        """Name the videos whose clips were replaced since the last call, in any process."""
        assert self._loader is not None
        replaced = self._loader.take_replaced()
        mine = json.dumps([asdict(each) for each in replaced]).encode() if replaced else b""
        everyones = [json.loads(each) for each in self._runtime.all_bytes(mine) if each]
        rows = sorted((row for each in everyones for row in each), key=lambda row: row["sample"])
        for row in rows:
            self._folder.log(
                f"step {step}  clip {row['sample']} replaced by clip {row['by']}: {row['reason']}"
            )
        if rows:
            self._standing.replaced += len(rows)
            self._folder.record({"step": step, "replaced": rows})

    def _log(self, trainer: Trainer, clock: Clock) -> None:
        """Record the averages since the last line. Clips count as the network sees them: rotated."""
        self._stop_if_broken(trainer)
        self._report_replaced(trainer.step)
        window = trainer.close_window()
        lap = clock.lap(trainer.step)
        self._standing.loss, self._standing.accuracy = window.loss, window.accuracy
        self._standing.seconds = clock.seconds
        videos_per_s = lap.steps * self._config.train.batch / lap.seconds
        values = {
            "step": trainer.step,
            "samples": trainer.step * self._config.train.batch,
            "loss": window.loss,
            "accuracy": window.accuracy,
            "lr": window.lr,
            "clips": window.clips,
            "clips_per_s": videos_per_s * self._task.views,
            "videos_per_s": videos_per_s,
            # Of all processes; padded channels and recomputation do not count.
            "useful_tflop_per_s": videos_per_s * self._task.views * self._flops / 1e12,
            "data_wait_share": lap.waited / lap.seconds,
            "clips_replaced": self._standing.replaced,
            **clock.loader_figures(),
            "seconds": clock.seconds,
        }
        self._folder.record(values)
        self._folder.log(
            f"step {trainer.step}/{self._steps}  loss {window.loss:.4f}  "
            f"accuracy {100 * window.accuracy:.1f} %  lr {window.lr:.3g}  "
            f"{values['clips_per_s']:.1f} clips/s  data wait {100 * values['data_wait_share']:.0f} %  "
            f"{values['useful_tflop_per_s']:.3g} TFLOP/s"
        )

    def _evaluate(self, trainer: Trainer) -> None:
        """Measure the accuracy on data.eval_split, and keep the best network."""
        config = self._config
        split = config.data.eval_split
        store = self._data.store
        assert split is not None
        assert store is not None
        self._runtime.share_buffers(trainer.network)
        trained = Trained(trainer.network, self._task, config)
        evaluate = evaluate_action if isinstance(self._task, ActionTask) else evaluate_pretext
        result = evaluate(
            trained,
            store,
            split,
            self._runtime,
            clips_per_video=config.eval.clips_per_video,
            batch=config.eval.batch,
            quiet=True,
        )
        accuracy = result.video_top1 if isinstance(result, ActionResult) else result.accuracy
        values = {key: value for key, value in asdict(result).items() if key != "protocol"}
        self._folder.record(
            {"step": trainer.step, "split": split, "eval_accuracy": accuracy, "evaluation": values}
        )
        for line in result.lines():
            self._folder.log(f"step {trainer.step}  {line}")
        standing = self._standing
        standing.eval_accuracy = accuracy
        if standing.best_accuracy is None or accuracy > standing.best_accuracy:
            standing.best_accuracy = accuracy
            self._save(trainer, self._folder.best)

    def _stop_if_broken(self, trainer: Trainer) -> None:
        """Refuse to log, evaluate or save a network whose loss is not finite any more."""
        step = trainer.broken_step
        if step is None:
            return
        last = self._folder.last
        kept = (
            f"the last good checkpoint is {last}" if last.exists() else "there is no checkpoint yet"
        )
        raise FastrotError(
            f"the loss was not finite at step {step}: {kept}. A lower optim.lr, optim.clip_norm, or "
            "train.precision=bf16 or fp32 instead of fp16 may help"
        )

    def _save(self, trainer: Trainer, path: Path) -> None:
        self._stop_if_broken(trainer)
        self._report_replaced(trainer.step)
        assert self._loader is not None
        positions = self._runtime.all_bytes(self._loader.position())
        state = trainer.state()  # by every process: they exchange their totals
        if self._runtime.is_main:
            save_checkpoint(
                path,
                {
                    **state,
                    **self._identity,
                    "standing": asdict(self._standing),
                    "positions": positions if any(positions) else [],
                    "config": to_mapping(self._config),
                    "config_hash": config_hash(self._config),
                    "classes": list(self._data.classes),
                    "versions": {"fastrot": __version__, **versions()},
                },
            )

    def _keep(self, step: int) -> None:
        if self._runtime.is_main and self._config.train.keep:
            self._folder.keep(step, self._config.train.keep)

    def _result(self, trainer: Trainer) -> TrainResult:
        folder, evaluated = self._folder, self._standing.best_accuracy is not None
        return TrainResult(
            folder=folder.path,
            last=folder.last,
            best=folder.best if evaluated else None,
            steps=trainer.step,
            **asdict(self._standing),
        )


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
