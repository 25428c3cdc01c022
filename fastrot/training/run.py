"""A training run from its config to its last checkpoint, for every task."""

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastrot.config import Config, ProfileConfig, to_mapping
from fastrot.config.schema import SCRATCH
from fastrot.data.training_data import training_data
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.action import ActionResult, evaluate_action
from fastrot.evaluation.pretext import evaluate_pretext
from fastrot.evaluation.trained import Trained
from fastrot.models.flops import train_flops
from fastrot.models.weight_files import start_from
from fastrot.runs.checkpoint import save_checkpoint
from fastrot.runs.run_folder import RunFolder, versions
from fastrot.tasks import ActionTask, make_task
from fastrot.terminal import console
from fastrot.terminal.hangup import outliving_the_terminal
from fastrot.training.clock import Clock
from fastrot.training.interrupt import INTERRUPTED, Agreement, Interrupt
from fastrot.training.log_lines import opening_lines, report_replaced
from fastrot.training.optim import count_steps
from fastrot.training.pace import Pace, cpu_note
from fastrot.training.profiling import profiled
from fastrot.training.result import Standing, TrainResult
from fastrot.training.resume import Saved, config_hash, find_saved
from fastrot.training.rng import seed_rngs
from fastrot.training.trainer import Trainer
from fastrot.version import __version__
from pipelines.errors import PreemptedError
from pipelines.loading.batches import BatchLoader


def train(
    config: Config,
    *,
    resume: bool = False,
    anyway: bool = False,
    quiet: bool = False,
    what: str | None = None,
) -> TrainResult:
    """Train as the config says, alone or as one of torchrun's processes.

    The first Ctrl-C, or a SIGTERM, SIGUSR1, SIGHUP or SIGQUIT, ends the run after the current step (on
    several GPUs the one after it), with a checkpoint, in all processes. A second Ctrl-C ends it at once,
    a second SIGQUIT with every thread's stack.

    Args:
        config: what to do.
        resume: continue from the run's last checkpoint, or begin if there is none yet. A run that is
            done already is left as it is, unless its last evaluation is missing. torchrun's restarts
            resume in any case.
        anyway: resume a run whose config has changed, with the new values.
        quiet: print no log lines, only progress; train.log has them all the same.
        what: the name on the progress display, instead of the run's.

    Raises:
        UsageError: the config does not fit the store or the processes; the run exists already; a
            resumed run has changed.
        FastrotError: a file is missing, damaged or cannot be written; another process trains this run.
        KeyboardInterrupt: Ctrl-C, after the checkpoint was written.
        PreemptedError: one of the other signals, after the checkpoint was written.
    """
    config.check_runnable()
    if config.task == "rotation":
        make_task(config, ())  # refuses wrong angles before any data is read
    resume = resume or anyway or int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0
    train_config = config.train
    with (
        outliving_the_terminal(),
        Runtime.start(
            train_config.precision,
            threads=train_config.threads,
            affinity=train_config.affinity,
            timeout_s=train_config.timeout_s,
        ) as runtime,
        runtime.explaining(),
    ):
        run = _Run(config, runtime, quiet=quiet, what=what or config.name)
        # Explained within too, so that the folder's state says what was wrong.
        with run.folder.owned(runtime, new=not resume), runtime.explaining():
            return run.train(resume=resume, anyway=anyway)


class _Run:
    """One process's part in a run."""

    def __init__(self, config: Config, runtime: Runtime, *, quiet: bool, what: str):
        self._config = config
        self._runtime = runtime
        self._quiet = quiet
        self._what = what
        self.folder = self._folder = RunFolder(config, writes=runtime.is_main, quiet=quiet)
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
        self._evaluation_owed = False
        self._loader: BatchLoader | None = None

    def train(self, *, resume: bool, anyway: bool) -> TrainResult:
        found = self._find_saved(anyway) if resume else None
        saved = None if found is None else found.values
        trainer = self._trainer(saved, changed=anyway)
        if trainer.step >= self._steps and not self._evaluation_owed:
            self._folder.step = trainer.step
            self._folder.log(f"{self._folder.path} is done already: {trainer.step} steps")
            return TrainResult.of(self._folder, trainer.step, self._standing)
        # Made before the folder, so that a batch or crop that does not fit leaves nothing behind.
        self._loader = loader = self._data.loader(
            self._runtime,
            start_step=trainer.step,
            steps=self._steps,
            positions=() if saved is None else saved["positions"],
        )
        with loader, closing(self._folder):
            self._runtime.on_main(
                lambda: self._folder.open(
                    self._config,
                    self._runtime,
                    step=trainer.step,
                    evaluation_owed=self._evaluation_owed,
                )
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
        return TrainResult.of(self._folder, trainer.step, self._standing)

    def _find_saved(self, anyway: bool) -> Saved | None:
        config = self._config
        found = find_saved(self._folder, self._runtime, config, self._identity, anyway=anyway)
        if found is not None:
            self._standing = found.standing
            self._notes += found.notes
            self._evaluation_owed = found.evaluation_owed and config.data.eval_split is not None
        return found

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
        config, videos = self._config, self._data.videos
        lines = opening_lines(config, self._runtime, self._task, videos=videos, steps=self._steps)
        lines += [trainer.optimizer_note, self._folder.note, self._report, *self._notes]
        if trainer.step:
            lines.append(f"resuming after step {trainer.step}")
        if self._evaluation_owed:
            lines.append(f"step {trainer.step} has not been evaluated yet: doing that first")
        if self._runtime.is_main:
            clips = (self._steps - trainer.step) * config.train.batch * self._task.views
            lines.append(cpu_note(clips * self._flops, self._runtime) or "")
        for line in filter(None, lines):
            self._folder.log(line)

    def _loop(
        self,
        trainer: Trainer,
        loader: BatchLoader,
        asked: Callable[[], int],
        stepped: Callable[[], None],
    ) -> None:
        train = self._config.train
        clock = Clock(loader, trainer.step, self._standing.seconds)
        pace = Pace(trainer.step, self._steps)
        before = clock.seconds
        if self._evaluation_owed:
            with clock.stopped():
                self._evaluate_owed(trainer)
                self._save_last(trainer)
        while trainer.step < self._steps:
            trainer.advance(loader)
            stepped()
            step, at_end = trainer.step, trainer.step == self._steps
            logging = at_end or _due(step, train.log_every)
            if logging:
                self._log(trainer, clock)
            elif pace.due(step) and self._runtime.is_main:
                self._runtime.wait()
                self._folder.log(pace.line(step, clock.seconds - before))
            evaluating = bool(self._config.data.eval_split) and (
                at_end or _due(step, train.eval_every)
            )
            self._evaluation_owed = evaluating
            stop = asked() if evaluating or not at_end else 0
            if at_end or stop or evaluating or _due(step, train.checkpoint_every):
                with clock.stopped():
                    if evaluating and not stop:
                        self._evaluate_owed(trainer)
                    self._save_last(trainer)
            if stop:
                self._folder.log(
                    f"interrupted after step {step}, saved in {self._folder.last}: "
                    "the same command with --resume continues"
                )
                raise KeyboardInterrupt if stop == INTERRUPTED else PreemptedError

    def _report_replaced(self, step: int) -> None:
        assert self._loader is not None
        replaced = self._loader.take_replaced()
        self._standing.replaced += report_replaced(replaced, self._folder, self._runtime, step)

    def _log(self, trainer: Trainer, clock: Clock) -> None:
        """Record the averages since the last line. Clips count as the network sees them: rotated."""
        trainer.require_finite(self._folder.last)
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

    def _evaluate_owed(self, trainer: Trainer) -> None:
        """Save, then evaluate: whatever ends the evaluation, a resumed run begins with it."""
        self._evaluation_owed = True
        self._save(trainer, self._folder.last)
        self._evaluation_owed = False  # in what is saved when it is done
        self._evaluate(trainer)

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

    def _save(self, trainer: Trainer, path: Path) -> None:
        trainer.require_finite(self._folder.last)
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
                    "evaluation_owed": self._evaluation_owed,
                    "config": to_mapping(self._config),
                    "config_hash": config_hash(self._config),
                    "classes": list(self._data.classes),
                    "versions": {"fastrot": __version__, **versions()},
                },
            )
            if path == self._folder.last:
                self._folder.at(trainer.step)

    def _save_last(self, trainer: Trainer) -> None:
        """Save, and keep the checkpoint under its step's number too."""
        self._save(trainer, self._folder.last)
        if self._runtime.is_main and self._config.train.keep:
            self._folder.keep(trainer.step, self._config.train.keep)


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
