"""Execute a plan. Each run and measurement is done once, identified by its hash, and resumed if interrupted.

::

    OUT/runs/<name>-<hash>/          a training run as written by ``fastrot pretrain``, and finished.json
    OUT/measurements/<name>-<hash>/  results.json as written by ``fastrot evaluate``, and scores.npz
"""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastrot.config import Config, to_mapping, to_yaml
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.action import score_action
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.pretext import evaluate_pretext
from fastrot.evaluation.probe import probe_blocks
from fastrot.evaluation.protocol import Result
from fastrot.evaluation.result_file import write_results
from fastrot.evaluation.retrieval import retrieve
from fastrot.evaluation.scores import FILE as SCORES
from fastrot.evaluation.scores import Scores
from fastrot.evaluation.trained import Trained, load_trained
from fastrot.reproduce.content_hash import ByContent
from fastrot.reproduce.run_plan import (
    Measurement,
    Plan,
    Snapshot,
    TrainRun,
    measurement_id,
    run_id,
)
from fastrot.terminal.console import say
from fastrot.training.run import train
from pipelines.errors import FastrotError
from pipelines.files import write_file
from pipelines.store.reading import Store

FINISHED = "finished.json"
RESULTS = "results.json"


class Workshop:
    """The output folder, in which runs and measurements are executed or found.

    Args:
        out: The folder.
        nproc: Number of processes per training run, started by torchrun; 0 trains in this process.
    """

    def __init__(self, out: Path, *, nproc: int = 0):
        self.out = out
        self._nproc = nproc
        self._videos = ByContent()

    def run_folder(self, run: TrainRun) -> Path:
        """Return the folder of a run: an existing one with the same hash (under any name), or a new one."""
        return _found(self.out / "runs", run.name, run_id(run, self._videos))

    def measurement_folder(self, measurement: Measurement) -> Path:
        """Return the folder of a measurement, identified by its hash."""
        key = measurement_id(measurement, self._videos)
        return _found(self.out / "measurements", measurement.name, key)

    def is_finished(self, run: TrainRun) -> bool:
        """Return whether a run is finished."""
        return (self.run_folder(run) / FINISHED).exists()

    def finished_folder(self, run: TrainRun) -> Path | None:
        """Return the folder of a finished run, or None if it is not finished or its store is missing."""
        try:
            folder = self.run_folder(run)
        except FastrotError:
            return None
        return folder if (folder / FINISHED).exists() else None

    def is_measured(self, measurement: Measurement) -> bool:
        """Return whether a measurement is done."""
        return (self.measurement_folder(measurement) / RESULTS).exists()

    def results(self, measurement: Measurement) -> dict[str, Any] | None:
        """Return the results of a measurement, or None if it is not done or its store is missing.

        Raises:
            FastrotError: The file is damaged.
        """
        try:
            path = self.measurement_folder(measurement) / RESULTS
        except FastrotError:  # without the store, nothing can have run on it
            return None
        if not path.exists():
            return None
        try:
            values: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise FastrotError(
                f"{path} cannot be read: {error}; delete the file to measure again"
            ) from None
        return values

    def checkpoint(self, snapshot: Snapshot) -> Path:
        """Return the checkpoint file of a snapshot."""
        folder = self.run_folder(snapshot.run) / "checkpoints"
        return folder / ("last.pt" if snapshot.step is None else f"step-{snapshot.step:08d}.pt")

    def train(self, run: TrainRun) -> None:
        """Execute or resume a run, unless it is finished.

        Raises:
            FastrotError: The run fails.
        """
        folder = self.run_folder(run)
        if (folder / FINISHED).exists():
            return
        init = "scratch" if run.start is None else str(self.checkpoint(run.start))
        config = dataclasses.replace(
            run.config, name=folder.name, out=str(folder.parent), init=init
        )
        if self._nproc:
            self._torchrun(config)
        else:
            train(config, resume=True, quiet=True, what=run.name)
        summary = {"name": run.name, "config": to_mapping(config)}
        write_file(folder / FINISHED, json.dumps(summary, indent=1) + "\n")

    def _torchrun(self, config: Config) -> None:
        file = self.out / "configs" / f"{config.name}.yaml"
        write_file(file, to_yaml(config))
        command = torchrun_command(config, file, self._nproc)
        say(f"$ {' '.join(command)}")
        python = [sys.executable, "-m", "torch.distributed.run"]
        code = subprocess.run([*python, *command[1:]], check=False).returncode
        if code == 130:
            raise KeyboardInterrupt
        if code:
            raise FastrotError(f"{config.name}: torchrun failed ({code}): see its output above")

    def measure(self, measurement: Measurement) -> None:
        """Execute a measurement, unless it is done.

        Raises:
            FastrotError: The measurement fails.
        """
        folder = self.measurement_folder(measurement)
        if (folder / RESULTS).exists():
            return
        checkpoint = self.checkpoint(measurement.of)
        with Runtime.start() as runtime:
            trained = load_trained(checkpoint, runtime)
            store = self._videos.store(measurement.store)
            result, scores = evaluate(measurement, trained, store, runtime)
            if scores is not None:
                scores.save(folder / SCORES)
            write_results(
                folder, measurement.kind, {"checkpoint": str(checkpoint)}, result, runtime
            )


def evaluate(
    measurement: Measurement, trained: Trained, store: Store, runtime: Runtime
) -> tuple[Result, Scores | None]:
    """Return the result of a measurement and, for kind "action", the scores."""
    clips = ClipSet(store, measurement.split, measurement.clips, quiet=True)
    train_split = measurement.train_split
    if measurement.kind == "action":
        return score_action(trained, clips, runtime)
    if measurement.kind == "rotation":
        return evaluate_pretext(trained, clips, runtime), None
    if measurement.kind == "probe":
        return probe_blocks(trained, clips, train_split, runtime, shots=measurement.shots), None
    return retrieve(trained, clips, train_split, runtime), None


def torchrun_command(config: Config, file: Path, nproc: int) -> list[str]:
    """Return the command that trains a config with ``nproc`` processes on this machine."""
    command = "pretrain" if config.task == "rotation" else "finetune"
    return [
        *("torchrun", "--standalone", f"--nproc-per-node={nproc}"),
        *("-m", "fastrot", command, str(file), "--resume"),
    ]


def carry_out(plan: Plan, workshop: Workshop, share: set[str] | None = None) -> list[str]:
    """Execute all unfinished runs and measurements of a plan, or of a machine's share of it.

    If a run fails, the runs that start from it are skipped and all others continue.

    Args:
        plan: The plan.
        workshop: The output folder.
        share: ``run_id`` of the runs of this machine, or None for all. Measurements belong to their runs.

    Returns:
        A line for each run and measurement that failed or is waiting for a run of another machine.
    """
    left: list[str] = []
    for number, run in enumerate(plan.runs, 1):
        if share is None or run_id(run) in share:
            with noting(run.name, left):
                carry_out_run(run, workshop, f"[{number}/{len(plan.runs)}] ")
    for measurement in plan.measurements:
        if share is None or run_id(measurement.of.run) in share:
            with noting(measurement.name, left):
                carry_out_measurement(measurement, workshop)
    return left


def carry_out_run(run: TrainRun, workshop: Workshop, place: str = "") -> None:
    """Execute a run, unless it is finished; ``place`` is printed before its name.

    Raises:
        FastrotError: It fails, or the run that it starts from is not finished.
    """
    if workshop.is_finished(run):
        return
    if run.start is not None and not workshop.is_finished(run.start.run):
        raise _NotYetError(f"waiting for {run.start.run.name}")
    say(f"{place}{run.name}")
    workshop.train(run)


def carry_out_measurement(measurement: Measurement, workshop: Workshop) -> None:
    """Execute a measurement, unless it is done.

    Raises:
        FastrotError: It fails, or its run is not finished.
    """
    if workshop.is_measured(measurement):
        return
    if not workshop.is_finished(measurement.of.run):
        raise _NotYetError(f"waiting for {measurement.of.run.name}")
    say(f"measure {measurement.name}")
    workshop.measure(measurement)


class _NotYetError(FastrotError):
    """A run must be finished first."""


@contextmanager
def noting(name: str, left: list[str]) -> Iterator[None]:
    """Add a line to ``left`` if the body fails or has to wait."""
    try:
        yield
    except FastrotError as error:
        left.append(f"{name}: {error}")
        if not isinstance(error, _NotYetError):
            say(f"failed: {name}: {error}")


def _found(parent: Path, name: str, key: str) -> Path:
    earlier = sorted(parent.glob(f"*-{key}"))
    return earlier[0] if earlier else parent / f"{name}-{key}"
