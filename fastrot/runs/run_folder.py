"""The folder of a run: config, environment, measurements and checkpoints.

::

    runs/<name>/config.yaml     the resolved config
                env.json        versions, device, command line
                metrics.jsonl   an object per line, numbers as numbers
                train.log       the printed lines, with the time
                checkpoints/    last.pt, best.pt
                state.json      running, done, preempted or failed: see fastrot.runs.run_state
                .lock           held by the process that owns the folder
                tensorboard/    the same measurements as curves, if log.tensorboard is true
                wandb/          the same for Weights & Biases, if log.wandb is set; its id is in wandb_id
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from fastrot.config import Config, to_yaml
from fastrot.distributed.runtime import Runtime
from fastrot.runs.checkpoint import LAST
from fastrot.runs.environment import environment
from fastrot.runs.run_state import LOCK, Ownership, State, ending
from fastrot.runs.tensorboard import Curves, require_tensorboard
from fastrot.runs.weights_and_biases import WandbRun, require_wandb
from fastrot.terminal import console
from pipelines.errors import FastrotError, UsageError
from pipelines.files import write_file


class RunFolder:
    """The folder of a run. Only the first process writes to it; calls in other processes do nothing.

    Attributes:
        path: The folder, ``out``/``name``.
        checkpoints: Its subfolder of checkpoints.
        step: Step of the last checkpoint.
    """

    def __init__(self, config: Config, *, writes: bool, quiet: bool = False):
        self.path = Path(config.out) / config.name
        self.checkpoints = self.path / "checkpoints"
        self._writes = writes
        self._quiet = quiet
        self._curves: Curves | None = None
        self._wandb: WandbRun | None = None
        self._owner: Ownership | None = None
        self.step = 0

    @property
    def last(self) -> Path:
        """The checkpoint from which a run resumes."""
        return self.checkpoints / LAST

    @property
    def best(self) -> Path:
        """The checkpoint with the best accuracy on ``data.eval_split``, if there is one."""
        return self.checkpoints / "best.pt"

    @property
    def metrics(self) -> Path:
        """The file of metrics, one JSON object per line."""
        return self.path / "metrics.jsonl"

    def require_new(self) -> None:
        """Check that the folder is new.

        Raises:
            UsageError: The folder exists and is not empty.
        """
        with self._written():
            there = self.path.exists() and (
                not self.path.is_dir() or any(each.name != LOCK for each in self.path.iterdir())
            )
        if there:
            raise UsageError(
                f"{self.path} already exists: resume it with --resume, choose another name=..., "
                "or remove it"
            )

    @contextmanager
    def owned(self, runtime: Runtime, *, new: bool) -> Iterator[None]:
        """Lock the folder in the context, and write the final state at the end, also after an error.

        The state is first written by ``open``: a run rejected earlier keeps the previous state.

        Args:
            runtime: The runtime, whose processes must enter this context together.
            new: Whether the folder must be new.

        Raises:
            UsageError: ``new`` is set and the folder is not empty.
            FastrotError: Another process owns the folder.
        """
        runtime.on_main(lambda: self._claim(new))
        owner = self._owner
        try:
            yield
            self._end("done")
        except BaseException as error:
            if owner is not None and owner.begun:
                with suppress(FastrotError):  # the error that ended the run matters more
                    self._end(*ending(error))
            raise
        finally:
            if owner is not None:
                owner.release()
            self._owner = None

    def _claim(self, new: bool) -> None:
        if new:
            self.require_new()
        with self._written():
            self._owner = Ownership.claim(self.path)

    @property
    def note(self) -> str:
        """A line for the log if the folder cannot be locked, otherwise ""."""
        return self._owner.note if self._owner is not None else ""

    def at(self, step: int) -> None:
        """Record in state.json that a resumed run would continue after ``step``."""
        self.step = step
        self._end("running")

    def _end(self, state: State, reason: str | None = None) -> None:
        if self._owner is not None:
            with self._written():
                self._owner.write(state, self.step, reason)

    def open(
        self, config: Config, runtime: Runtime, *, step: int, evaluation_owed: bool = False
    ) -> None:
        """Create the folder, write config.yaml and env.json, and remove metrics of steps after ``step``.

        With ``evaluation_owed``, the metrics of an evaluation at ``step`` are also removed.

        Raises:
            UsageError: TensorBoard or W&B is to log but not installed, or W&B has no credentials; nothing is
                created then.
            FastrotError: The folder cannot be written.
        """
        if not self._writes:
            return
        if config.log.tensorboard:
            require_tensorboard()
        if config.log.wandb is not None:
            require_wandb()
        with self._written():
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            for left in self.checkpoints.glob("*.tmp"):
                left.unlink()  # left by a run that was killed while it wrote a checkpoint
            write_file(self.path / "config.yaml", to_yaml(config))
            write_file(self.path / "env.json", json.dumps(environment(runtime), indent=1) + "\n")
            self._forget_after(step, evaluation_owed)
            self.at(step)
            if config.log.tensorboard:
                self._curves = Curves(self.path / "tensorboard", step=step)
            if config.log.wandb is not None:
                self._wandb = WandbRun(self.path, config, self.log)

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FastrotError(f"the run's folder {self.path} cannot be written: {error}") from None

    def candidates(self) -> list[Path]:
        """Return the checkpoints from which the run can resume, newest first."""
        kept = sorted(self.checkpoints.glob("step-*.pt"), reverse=True)
        return [path for path in (self.last, *kept) if path.exists()]

    def _forget_after(self, step: int, evaluation_owed: bool) -> None:
        """Remove metrics that a resumed run will measure again, and a truncated last line."""
        if not self.metrics.exists():
            return
        lines = self.metrics.read_text().splitlines(keepends=True)
        write_file(
            self.metrics,
            "".join(line for line in lines if _is_kept(line, step, evaluation_owed)),
        )

    def record(self, values: dict[str, Any]) -> None:
        """Append an object to metrics.jsonl."""
        if self._writes:
            with self._written(), self.metrics.open("a") as file:
                file.write(json.dumps(values) + "\n")
        if self._curves is not None:
            self._curves.add(values)
        if self._wandb is not None:
            self._wandb.add(values)

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish pending writes; an error, a signal or Ctrl-C ends the W&B run as failed."""
        if self._curves is not None:
            self._curves.close()
        if self._wandb is not None:
            self._wandb.close(failed=error is not None)

    def keep(self, step: int, newest: int) -> None:
        """Keep a copy of the last checkpoint under its step number, and only the ``newest`` such copies."""
        kept = self.checkpoints / f"step-{step:08d}.pt"
        with self._written():
            kept.unlink(missing_ok=True)
            try:
                kept.hardlink_to(self.last)  # last.pt is always replaced, never modified in place
            except OSError:  # a file system without hard links
                shutil.copyfile(self.last, kept)
            for old in sorted(self.checkpoints.glob("step-*.pt"))[:-newest]:
                old.unlink()

    def log(self, line: str) -> None:
        """Append a line to train.log with the time, and print it unless the run is quiet."""
        if not self._writes:
            return
        if not self._quiet:
            console.say(line)
        with (
            self._written(),
            (self.path / "train.log").open("a", errors="backslashreplace") as file,
        ):
            file.write(f"{datetime.now().isoformat(timespec='seconds')} {line}\n")


def _is_kept(line: str, step: int, evaluation_owed: bool) -> bool:
    """Return whether a line of metrics is kept when a run resumes; truncated lines are not kept."""
    try:
        values = json.loads(line) if line.endswith("\n") else {}
        if evaluation_owed and values["step"] == step and "eval_accuracy" in values:
            return False
        return int(values["step"]) <= step
    except (ValueError, KeyError, TypeError):
        return False
