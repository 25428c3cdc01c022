"""A training run from its config to its last checkpoint, for every task."""

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from fastrot.config import Config, ProfileConfig, to_mapping
from fastrot.data.training_data import training_data
from fastrot.distributed.agreement import agreement
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.action import score_action
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.pretext import evaluate_pretext
from fastrot.evaluation.trained import Trained
from fastrot.runs.checkpoint import save_checkpoint
from fastrot.runs.environment import versions
from fastrot.runs.run_folder import RunFolder
from fastrot.tasks import ActionTask, make_task
from fastrot.terminal import console
from fastrot.terminal.hangup import outliving_the_terminal
from fastrot.training.clock import Clock
from fastrot.training.interrupt import INTERRUPTED, Interrupt
from fastrot.training.log_lines import log_replaced, log_window, opening_lines
from fastrot.training.pace import Pace
from fastrot.training.profiling import profiled
from fastrot.training.result import TrainResult
from fastrot.training.resume import config_hash
from fastrot.training.start import Start, begin
from fastrot.version import __version__
from pipelines.errors import PreemptedError
from pipelines.loading.batches import BatchLoader


def train(
    config: Config,
    *,
    resume: bool = False,
    resume_from: Path | str | None = None,
    anyway: bool = False,
    quiet: bool = False,
    what: str | None = None,
) -> TrainResult:
    """Train according to a config, in a single process or under torchrun.

    The first Ctrl-C, or a SIGTERM, SIGUSR1, SIGHUP or SIGQUIT, ends the run in all processes after the
    current step (on several GPUs, the step after it) and saves a checkpoint. A second Ctrl-C ends it
    immediately; a second SIGQUIT also prints the stack of every thread.

    Args:
        config: The config of the run.
        resume: Resume from the last checkpoint of the run, or start if there is none yet. A finished run is
            left unchanged, unless its last evaluation is missing. Restarts by torchrun always resume.
        resume_from: Begin a new run at the step of this checkpoint of another run (or of the last one in
            its folder), with its weights, optimiser, schedule and positions in the data. With ``resume``,
            only if the run has no checkpoint of its own yet.
        anyway: Resume, or begin with ``resume_from``, although the config has changed, with the new values.
        quiet: Print only progress and no log lines; ``train.log`` contains them in any case.
        what: Name in the progress display; the name of the run by default.

    Raises:
        UsageError: The config does not fit the store or the processes, the run already exists, or a resumed
            run has changed.
        FastrotError: A file is missing, damaged or cannot be written, or another process trains this run.
        KeyboardInterrupt: Ctrl-C was pressed; the checkpoint has been written.
        PreemptedError: One of the other signals was received; the checkpoint has been written.
    """
    config.check_runnable()
    if config.task == "rotation":
        make_task(config, ())  # rejects invalid angles before any data is read
    resume = resume or (anyway and resume_from is None)
    resume = resume or int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0
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
        folder = RunFolder(config, writes=runtime.is_main, quiet=quiet)
        data = training_data(config)
        # Also explained inside the context, so that the state in the folder contains the explanation.
        with folder.owned(runtime, new=not resume), runtime.explaining():
            start = begin(
                config,
                runtime,
                folder,
                data,
                resume=resume,
                resume_from=resume_from,
                anyway=anyway,
            )
            if start.done:
                folder.step = start.trainer.step
                for line in start.notes:
                    folder.log(line)
                folder.log(f"{folder.path} is already complete: {folder.step} steps")
            else:
                _run(start, quiet=quiet, what=what or config.name)
            return TrainResult.of(folder, start.trainer.step, start.standing)


def _run(start: Start, *, quiet: bool, what: str) -> None:
    """Open the data and the folder, and train with signal handling, progress display and profiling."""
    config, runtime, folder, first = start.config, start.runtime, start.folder, start.trainer.step
    # Created before the folder, so that an invalid batch or crop leaves no folder behind.
    loader = start.data.loader(
        runtime, start_step=first, steps=start.steps, positions=start.positions
    )
    owed, shown = start.evaluation_owed, runtime.is_main
    with loader, folder:
        runtime.on_main(lambda: folder.open(config, runtime, step=first, evaluation_owed=owed))
        for line in opening_lines(start):
            folder.log(line)
        if start.other is not None:
            # The run now has a checkpoint of its own, so that --resume alone continues it.
            _save(start, loader, folder.last, evaluation_owed=owed)
        with (
            Interrupt() as interrupt,
            agreement(runtime) as highest,
            console.progress(start.steps, what, "steps", shown=shown, lines=quiet) as advance,
            profiled(
                config.profile if shown else ProfileConfig(),
                folder.path / "profile.json",
                done=folder.log,
            ) as profile_step,
        ):
            advance.to(first, start.steps)

            def stepped() -> None:
                advance()
                profile_step()

            _loop(start, loader, lambda: highest(interrupt.asked), stepped)


def _loop(
    start: Start, loader: BatchLoader, asked: Callable[[], int], stepped: Callable[[], None]
) -> None:
    trainer, folder, train = start.trainer, start.folder, start.config.train
    clock = Clock(loader, trainer.step, start.standing.seconds)
    pace = Pace(trainer.step, start.steps)
    before = clock.seconds
    if start.evaluation_owed:
        with clock.stopped():
            _evaluate(start, loader)
            _save_last(start, loader)
    while trainer.step < start.steps:
        trainer.advance(loader)
        stepped()
        step, at_end = trainer.step, trainer.step == start.steps
        if at_end or _due(step, train.log_every):
            log_window(start, loader, clock)
        elif pace.due(step) and start.runtime.is_main:
            start.runtime.wait()
            folder.log(pace.line(step, clock.seconds - before))
        due = at_end or _due(step, train.eval_every)
        evaluating = due and start.config.data.eval_split is not None
        stop = asked() if evaluating or not at_end else 0
        if at_end or stop or evaluating or _due(step, train.checkpoint_every):
            with clock.stopped():
                if evaluating and not stop:
                    _evaluate(start, loader)
                _save_last(start, loader, evaluation_owed=evaluating and bool(stop))
        if stop:
            folder.log(
                f"interrupted after step {step}, checkpoint saved in {folder.last}: "
                "run the same command with --resume to continue"
            )
            raise KeyboardInterrupt if stop == INTERRUPTED else PreemptedError


def _evaluate(start: Start, loader: BatchLoader) -> None:
    """Measure the accuracy on data.eval_split, and keep the best network.

    A checkpoint is saved first, so that a run interrupted during the evaluation resumes with it.
    """
    config, runtime, folder, standing = start.config, start.runtime, start.folder, start.standing
    network, step = start.trainer.network, start.trainer.step
    split, store = config.data.eval_split, start.data.store
    assert split is not None
    assert store is not None
    _save(start, loader, folder.last, evaluation_owed=True)
    runtime.share_buffers(network)
    trained = Trained(network, start.task, config)
    clips = ClipSet(store, split, config.eval.clips_per_video, batch=config.eval.batch, quiet=True)
    result = (
        score_action(trained, clips, runtime)[0]
        if isinstance(start.task, ActionTask)
        else evaluate_pretext(trained, clips, runtime)
    )
    accuracy = result.accuracy
    values = {key: value for key, value in asdict(result).items() if key != "protocol"}
    folder.record({"step": step, "split": split, "eval_accuracy": accuracy, "evaluation": values})
    for line in result.lines():
        folder.log(f"step {step}  {line}")
    standing.eval_accuracy = accuracy
    if standing.best_accuracy is None or accuracy > standing.best_accuracy:
        standing.best_accuracy = accuracy
        _save(start, loader, folder.best)


def _save_last(start: Start, loader: BatchLoader, *, evaluation_owed: bool = False) -> None:
    """Save the last checkpoint, and also keep it under the number of its step."""
    _save(start, loader, start.folder.last, evaluation_owed=evaluation_owed)
    if start.runtime.is_main and start.config.train.keep:
        start.folder.keep(start.trainer.step, start.config.train.keep)


def _save(start: Start, loader: BatchLoader, path: Path, *, evaluation_owed: bool = False) -> None:
    runtime, folder, trainer = start.runtime, start.folder, start.trainer
    trainer.require_finite(folder.last)
    log_replaced(start, loader)
    positions = runtime.all_bytes(loader.position())
    state = trainer.state()  # collective: the processes exchange their totals
    if runtime.is_main:
        save_checkpoint(
            path,
            {
                **state,
                **start.identity,
                "standing": asdict(start.standing),
                "positions": positions if any(positions) else [],
                "evaluation_owed": evaluation_owed,
                "config": to_mapping(start.config),
                "config_hash": config_hash(start.config),
                "classes": list(start.data.classes),
                "versions": {"fastrot": __version__, **versions()},
            },
        )
        if path == folder.last:
            folder.at(trainer.step)


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
