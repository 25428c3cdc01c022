"""The folder of a run: what was asked for, where it ran, what it measured, what it made.

::

    runs/<name>/config.yaml     the resolved config
                env.json        versions, device, command line
                metrics.jsonl   an object per line, numbers as numbers
                train.log       the lines that people saw
                checkpoints/    last.pt, best.pt
                tensorboard/    the same measurements as curves, where log.tensorboard asks for them
"""

import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from fastrot import __version__, console
from fastrot.config import Config, to_yaml
from fastrot.curves import Curves, require_tensorboard
from fastrot.installed import installed
from fastrot.runtime import Runtime
from pipelines.errors import FastrotError, UsageError
from pipelines.store_writer import write_atomically

PACKAGES = ("torch", "numpy", "av", "nvidia-dali-cuda120", "nvidia-dali-cuda130", "triton")


class RunFolder:
    """One run's folder. Only the first process writes in it; the others' calls do nothing.

    Attributes:
        path: the folder, ``out``/``name``.
        checkpoints: the folder of checkpoints in it.
    """

    def __init__(self, config: Config, *, writes: bool, quiet: bool = False):
        self.path = Path(config.out) / config.name
        self.checkpoints = self.path / "checkpoints"
        self._writes = writes
        self._quiet = quiet
        self._curves: Curves | None = None

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
            there = self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir()))
        if there:
            raise UsageError(
                f"{self.path} exists already: go on with it by --resume, choose another name=..., "
                "or remove it"
            )

    def open(self, config: Config, runtime: Runtime, *, step: int) -> None:
        """Make the folder and write config.yaml and env.json; forget metrics of steps after ``step``.

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
            write_atomically(self.path / "config.yaml", to_yaml(config))
            write_atomically(
                self.path / "env.json", json.dumps(environment(runtime), indent=1) + "\n"
            )
            self._forget_after(step)
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

    def _forget_after(self, step: int) -> None:
        """Drop metrics that a resumed run is about to measure again, and a last line cut short."""
        if not self.metrics.exists():
            return
        lines = self.metrics.read_text().splitlines(keepends=True)
        write_atomically(
            self.metrics,
            "".join(line for line in lines if _step_of(line, default=step + 1) <= step),
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


def _step_of(line: str, *, default: int) -> int:
    """Return the step of a line of measurements, or ``default`` for what a crash left of one."""
    try:
        return int(json.loads(line)["step"]) if line.endswith("\n") else default
    except (ValueError, KeyError, TypeError):
        return default


def environment(runtime: Runtime) -> dict[str, Any]:
    """Return what a reader of results must know of the machine and the software, as plain values."""
    gpu = runtime.device.type == "cuda"
    return {
        "fastrot": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions(),
        "cuda": torch.version.cuda if gpu else None,
        "cudnn": torch.backends.cudnn.version() if gpu else None,  # type: ignore[no-untyped-call]
        "device": torch.cuda.get_device_name(runtime.device) if gpu else "cpu",
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": runtime.threads,
        "world_size": runtime.world,
        "precision": runtime.precision,
        "command": sys.argv,
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on, those that are installed."""
    return installed(PACKAGES)
