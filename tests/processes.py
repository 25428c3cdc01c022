"""Training runs in processes of their own, which the test may kill, stop and signal."""

import contextlib
import functools
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.soak.forked import fork
from fastrot.config import Config, to_mapping

Fault = tuple[str, int]
"""(kind, step): kill or hang the process before or in that step, save or evaluation, slow every step, or
replace a checkpoint by the one of that step as soon as it is loaded."""


@dataclass
class Run:
    """One process of a run, and the file of what it printed."""

    process: Any
    output: Path

    def wait(self, timeout: float = 60) -> int:
        """Return the exit code; -SIGKILL and the like for a signal."""
        self.process.join(timeout)
        assert self.process.exitcode is not None, f"still running: {self.text}"
        return int(self.process.exitcode)

    def send(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.process.pid, number)

    @property
    def text(self) -> str:
        """What it printed so far."""
        return self.output.read_text()

    def await_text(self, text: str, timeout: float = 60) -> None:
        """Wait until it has printed ``text``."""
        deadline = time.monotonic() + timeout
        while text not in self.text:
            assert time.monotonic() < deadline, self.text
            assert self.process.is_alive(), self.text
            time.sleep(0.01)


def start(
    config: Config | Mapping[str, Any],
    *options: str,
    rank: int = 0,
    world: int = 1,
    port: int = 0,
    fault: Fault | None = None,
    terminal: str | None = None,
) -> Run:
    """Start ``fastrot pretrain`` (or finetune, as the task is) with a config, as one rank of several.

    With ``terminal``, a pseudo-terminal's path, the process is its session's first and prints there.
    """
    values = to_mapping(config) if isinstance(config, Config) else dict(config)
    folder = Path(values["out"])
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{values['name']}.yaml"
    file.write_text(yaml.safe_dump(values))
    command = "pretrain" if values["task"] == "rotation" else "finetune"
    output = folder / f"{values['name']}-{rank}.out"
    prepare = functools.partial(_prepare, fault, terminal)
    return _start([command, str(file), *options], output, rank, world, port, prepare)


def _start(
    arguments: Sequence[str],
    output: Path,
    rank: int,
    world: int,
    port: int,
    prepare: Callable[[], None] | None = None,
) -> Run:
    environment = {}
    if world > 1:
        environment = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "RANK": str(rank),
            "WORLD_SIZE": str(world),
        }
    return Run(fork(arguments, environment=environment, output=output, prepare=prepare), output)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def ranks(
    config: Config, *options: str, world: int = 2, faults: Mapping[int, Fault] | None = None
) -> Iterator[list[Run]]:
    """Start a run of several processes; kill those that are alive at the end."""
    port, faults = free_port(), faults or {}
    runs = [
        start(config, *options, rank=rank, world=world, port=port, fault=faults.get(rank))
        for rank in range(world)
    ]
    with _killed_at_the_end(runs):
        yield runs


@contextlib.contextmanager
def _killed_at_the_end(runs: Sequence[Run]) -> Iterator[None]:
    try:
        yield
    finally:
        for run in runs:
            if run.process.is_alive():
                run.send(signal.SIGKILL)
            run.process.join()


def finish(config: Config, *options: str, world: int = 1, fault: Fault | None = None) -> list[int]:
    """Run to the end, with the fault in every process, and return the exit codes."""
    with ranks(config, *options, world=world, faults=dict.fromkeys(range(world), fault)) as runs:
        codes = [run.wait() for run in runs]
        if 1 in codes:  # shown by pytest where the test fails
            print("\n".join(run.text for run in runs))
        return codes


def fastrot_in_two(
    *arguments: str,
    folder: Path,
    prepare: tuple[Callable[[], None] | None, Callable[[], None] | None] = (None, None),
    codes: tuple[int, int] = (0, 0),
) -> str:
    """Run a command in two processes to its end, and return what both printed.

    ``prepare`` is called in each process before the command; ``codes`` are the expected exit codes.
    """
    port = free_port()
    runs = [
        _start(arguments, folder / f"rank{rank}.out", rank, 2, port, first)
        for rank, first in enumerate(prepare)
    ]
    with _killed_at_the_end(runs):
        found = tuple(run.wait() for run in runs)
    text = "".join(run.text for run in runs)
    assert found == codes, text
    return text


def _prepare(fault: Fault | None, terminal: str | None) -> None:
    if fault is not None:
        _install(fault)
    if terminal is not None:
        from fastrot.terminal import console

        os.setsid()
        descriptor = os.open(terminal, os.O_RDWR)  # a session's first terminal controls it
        for stream in (0, 1, 2):
            os.dup2(descriptor, stream)
        os.close(descriptor)
        # What they are was found out when they were opened.
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        console._console.file = None  # whatever sys.stdout is


def _install(fault: Fault) -> None:
    import torch

    from fastrot.training import resume
    from fastrot.training.trainer import Trainer
    from pipelines.loading.skipping import SkippingLoader

    kind, at = fault
    done = 0
    advance: Callable[..., None] = Trainer.advance
    save = torch.save

    evaluated: Callable[..., Any] = SkippingLoader.__next__

    def advancing(self: Trainer, batches: Any) -> None:
        nonlocal done
        if kind == "hang" and self.step == at:
            print(f"hangs at step {at}", flush=True)
            threading.Event().wait()
        advance(self, batches)
        done = self.step
        if kind == "kill" and self.step == at:
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "slow":
            print(f"did step {self.step}")
            time.sleep(0.1)

    def saving(values: Any, file: Any) -> None:
        if kind == "kill saving" and isinstance(values, dict) and values.get("step") == at:
            file.write(b"half a checkpoint")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        save(values, file)

    def evaluating(self: SkippingLoader) -> Any:
        if kind == "kill evaluating" and done == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return evaluated(self)

    load = vars(resume)["load_checkpoint"]

    def loading(path: Path) -> dict[str, Any]:
        values = load(path)
        if kind == "replace loaded":
            shutil.copyfile(path.with_name(f"step-{at:08d}.pt"), path)
        return values

    vars(resume)["load_checkpoint"] = loading
    SkippingLoader.__next__ = evaluating
    Trainer.advance = advancing
    torch.save = saving
