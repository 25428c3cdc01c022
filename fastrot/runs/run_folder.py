"""The folder of a run: what was asked for, where it ran, what it measured, what it made.

::

    runs/<name>/config.yaml     the resolved config
                env.json        versions, device, command line
                metrics.jsonl   an object per line, numbers as numbers
                train.log       the lines that people saw
                checkpoints/    last.pt, best.pt
                state.json      running, done, preempted or failed: see fastrot.runs.run_state
                .lock           held by the process that owns the folder
                tensorboard/    the same measurements as curves, where log.tensorboard asks for them
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from fastrot.config import Config, to_yaml
from fastrot.distributed.runtime import Runtime
from fastrot.runs.environment import environment
from fastrot.runs.run_state import LOCK, Ownership, State, ending
from fastrot.runs.tensorboard import Curves, require_tensorboard
from fastrot.terminal import console
from pipelines.errors import FastrotError, UsageError
from pipelines.files import write_file


class RunFolder:
    """One run's folder. Only the first process writes in it; the others' calls do nothing.

    Attributes:
        path: the folder, ``out``/``name``.
        checkpoints: the folder of checkpoints in it.
        step: that of the last checkpoint.
    """

    def __init__(self, config: Config, *, writes: bool, quiet: bool = False):
        self.path = Path(config.out) / config.name
        self.checkpoints = self.path / "checkpoints"
        self._writes = writes
        self._quiet = quiet
        self._curves: Curves | None = None
        self._owner: Ownership | None = None
        self.step = 0

    @property
    def last(self) -> Path:
        """The checkpoint that a resumed run goes on from."""
        return self.checkpoints / "last.pt"

    @property
    def best(self) -> Path:
        """The checkpoint with the best accuracy on ``data.eval_split``, if there is one."""
        return self.checkpoints / "best.pt"

    @property
    def metrics(self) -> Path:
        """The file of measurements, a JSON object per line."""
        return self.path / "metrics.jsonl"

    def require_new(self) -> None:
        """Check that nothing is there yet.

        Raises:
            UsageError: the folder has something in it.
        """
        with self._written():
            there = self.path.exists() and (
                not self.path.is_dir() or any(each.name != LOCK for each in self.path.iterdir())
            )
        if there:
            raise UsageError(
                f"{self.path} exists already: continue it with --resume, choose another name=..., "
                "or remove it"
            )

    @contextmanager
    def owned(self, runtime: Runtime, *, new: bool) -> Iterator[None]:
        """Keep other processes out of the folder, and write its state at the end, whatever that is.

        A state is written from ``open`` on: a run that is refused before leaves the last one's.

        Args:
            runtime: all of its processes enter this together.
            new: nothing may be there yet.

        Raises:
            UsageError: ``new``, and the folder has something in it.
            FastrotError: another process owns it.
        """
        runtime.on_main(lambda: self._claim(new))
        owner = self._owner
        try:
            yield
            self._end("done")
        except BaseException as error:
            if owner is not None and owner.begun:
                with suppress(FastrotError):  # what ended the run matters more
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
        """A line for the log about who else may use the folder, or nothing."""
        return self._owner.note if self._owner is not None else ""

    def at(self, step: int) -> None:
        """Note in state.json that a resumed run would continue after ``step``."""
        self.step = step
        self._end("running")

    def _end(self, state: State, reason: str | None = None) -> None:
        if self._owner is not None:
            with self._written():
                self._owner.write(state, self.step, reason)

    def open(
        self, config: Config, runtime: Runtime, *, step: int, evaluation_owed: bool = False
    ) -> None:
        """Make the folder and write config.yaml and env.json; forget metrics of steps after ``step``.

        With ``evaluation_owed`` those of an evaluation after ``step`` are forgotten too.

        Raises:
            UsageError: log.tensorboard is true, and there is none; nothing is made then.
            FastrotError: it cannot be written.
        """
        if not self._writes:
            return
        if config.log.tensorboard:
            require_tensorboard()
        with self._written():
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            for left in self.checkpoints.glob("*.tmp"):
                left.unlink()  # of a run that was killed while it wrote a checkpoint
            write_file(self.path / "config.yaml", to_yaml(config))
            write_file(self.path / "env.json", json.dumps(environment(runtime), indent=1) + "\n")
            self._forget_after(step, evaluation_owed)
            self.at(step)
            if config.log.tensorboard:
                self._curves = Curves(self.path / "tensorboard", step=step)

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FastrotError(f"the run's folder {self.path} cannot be written: {error}") from None

    def candidates(self) -> list[Path]:
        """Return the checkpoints that a run can go on from, the newest first."""
        kept = sorted(self.checkpoints.glob("step-*.pt"), reverse=True)
        return [path for path in (self.last, *kept) if path.exists()]

    def _forget_after(self, step: int, evaluation_owed: bool) -> None:
        """Drop metrics that a resumed run is about to measure again, and a last line cut short."""
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

    def close(self) -> None:
        """Finish what is written in the background."""
        if self._curves is not None:
            self._curves.close()

    def keep(self, step: int, newest: int) -> None:
        """Keep the last checkpoint under its step's number too, and only the ``newest`` such ones."""
        kept = self.checkpoints / f"step-{step:08d}.pt"
        with self._written():
            kept.unlink(missing_ok=True)
            try:
                kept.hardlink_to(self.last)  # last.pt is replaced as a whole, never written into
            except OSError:  # a file system without links
                shutil.copyfile(self.last, kept)
            for old in sorted(self.checkpoints.glob("step-*.pt"))[:-newest]:
                old.unlink()

    def log(self, line: str) -> None:
        """Print a line, unless the run is quiet, and append it to train.log with the time."""
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
    """Return whether a line of measurements stands when a run resumes; what a crash left of one does not."""
    try:
        values = json.loads(line) if line.endswith("\n") else {}
        if evaluation_owed and values["step"] == step and "eval_accuracy" in values:
            return False
        return int(values["step"]) <= step
    except (ValueError, KeyError, TypeError):
        return False
