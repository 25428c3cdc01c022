"""Faults that a soak test injects, and the run that they are injected into."""

import json
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from benchmarks.soak.forked import fork
from pipelines.plan import Clips, TrainPlan
from pipelines.store.reading import Store

HUNG = -1000
"""Used as the exit code of a process that had to be killed."""


class Job:
    """The processes of one run."""

    def __init__(self, config: Mapping[str, Any], world: int):
        self.config = config
        self.world = world
        self.folder: Path = Path(config["out"]) / config["name"]
        self.processes: list[Any] = []
        self._outputs: list[Path] = []

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return Path(self.folder, "checkpoints", "last.pt")

    def start(self, prepare: Callable[[], None] | None = None) -> None:
        """Start or resume the run."""
        out = Path(self.config["out"])
        file = out / f"{self.config['name']}.yaml"
        file.write_text(yaml.safe_dump(dict(self.config)))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = "pretrain" if self.config["task"] == "rotation" else "finetune"
        for rank in range(self.world):
            environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            environment |= {"RANK": str(rank), "WORLD_SIZE": str(self.world)}
            self._outputs.append(out / f"{self.config['name']}-{rank}.out")
            self.processes.append(
                fork(
                    [command, str(file), "--resume"],
                    environment=environment,
                    output=self._outputs[-1],
                    prepare=prepare,
                )
            )

    @property
    def alive(self) -> bool:
        """Whether all processes are running."""
        return all(process.is_alive() for process in self.processes)

    def steps(self) -> int:
        """Return the number of complete lines of metrics."""
        try:
            return Path(self.folder, "metrics.jsonl").read_bytes().count(b"\n")
        except FileNotFoundError:
            return 0

    def await_steps(self, count: int) -> bool:
        """Wait until about ``count`` more steps are done; return False if the run ended first."""
        before = self.steps()
        while self.alive:
            # A resumed run first removes the lines of the steps that it repeats.
            before = min(before, self.steps())
            if self.steps() >= before + count:
                return True
            time.sleep(0.002)
        return False

    def wait(self, timeout: float) -> list[int]:
        """Return the exit codes; processes that exceed the timeout are killed and count as HUNG."""
        deadline = time.monotonic() + timeout
        codes = []
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
                codes.append(HUNG)
            else:
                codes.append(int(process.exitcode))
        return codes

    def output(self) -> str:
        """Return what the processes printed."""
        return "\n".join(path.read_text() for path in self._outputs)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of metrics."""
        return [json.loads(line) for line in (self.folder / "metrics.jsonl").open()]


@dataclass(frozen=True)
class Fault:
    """A fault of a running job: ``inject`` returns whether it took effect; ``codes`` are expected exits."""

    inject: Callable[[Job, random.Random], bool]
    codes: frozenset[int] = frozenset()
    suits: Callable[[Job], bool] = lambda job: True


def _signal_one(number: int) -> Callable[[Job, random.Random], bool]:
    def inject(job: Job, chance: random.Random) -> bool:
        if not job.alive:
            return False
        os.kill(chance.choice(job.processes).pid, number)
        return True

    return inject


def _kill_all(job: Job, chance: random.Random) -> bool:
    if not job.alive:
        return False
    for process in job.processes:
        process.kill()
    return True


def _hang_one(job: Job, chance: random.Random) -> bool:
    if not job.alive:
        return False
    victim = chance.choice(job.processes)
    os.kill(victim.pid, signal.SIGSTOP)
    for process in job.processes:
        if process is not victim:
            process.join(40)
    victim.kill()
    return True


def _flip_bits(job: Job, chance: random.Random) -> bool:
    store = Store.open(job.config["data"]["store"])
    video = chance.randrange(len(store))
    with store.shard_path(video).open("r+b") as file:
        for _ in range(4):
            file.seek(int(store.offset[video]) + chance.randrange(int(store.bytes[video])))
            byte = file.read(1)
            if byte:
                file.seek(-1, 1)
                file.write(bytes([byte[0] ^ 1 << chance.randrange(8)]))
    return True


def _zero_video(job: Job, chance: random.Random) -> bool:
    store = Store.open(job.config["data"]["store"])
    video = chance.randrange(len(store))
    with store.shard_path(video).open("r+b") as file:
        file.seek(int(store.offset[video]))
        file.write(bytes(int(store.bytes[video])))
    return True


def _truncate_shard(job: Job, chance: random.Random) -> bool:
    path = chance.choice(_shards(job))
    os.truncate(path, path.stat().st_size * chance.randint(80, 99) // 100)
    return True


def _delete_shard(job: Job, chance: random.Random) -> bool:
    paths = _shards(job)
    if len(paths) < 4:
        return False
    chance.choice(paths).unlink()
    return True


def _replace_shard(job: Job, chance: random.Random) -> bool:
    path = chance.choice(_shards(job))
    other = path.with_suffix(".new")
    other.write_bytes(chance.randbytes(path.stat().st_size))
    other.replace(path)
    return True


def _shards(job: Job) -> list[Path]:
    folder = Path(job.config["data"]["store"]) / "shards"
    return [path for path in sorted(folder.iterdir()) if path.suffix in (".npy", ".mjpeg")]


def _has_store(job: Job) -> bool:
    return bool(job.config["data"]["source"] == "store")


# A run that is about to exit no longer handles signals: everything is already saved.
_LOST = frozenset({-signal.SIGKILL, 1})
WHILE_RUNNING = {
    "SIGKILL of one process": Fault(_signal_one(signal.SIGKILL), _LOST),
    "SIGKILL of all": Fault(_kill_all, frozenset({-signal.SIGKILL})),
    "SIGTERM": Fault(_signal_one(signal.SIGTERM), frozenset({75, -signal.SIGTERM})),
    "SIGUSR1": Fault(_signal_one(signal.SIGUSR1), frozenset({75, -signal.SIGUSR1})),
    "Ctrl-C": Fault(_signal_one(signal.SIGINT), frozenset({130})),
    "a process hangs": Fault(_hang_one, _LOST, lambda job: job.world > 1),
    "bits flipped in a shard": Fault(_flip_bits, suits=_has_store),
    "a video overwritten by zeros": Fault(_zero_video, suits=_has_store),
    "a shard truncated": Fault(_truncate_shard, suits=_has_store),
    "a shard deleted": Fault(_delete_shard, suits=_has_store),
    "a shard replaced": Fault(_replace_shard, suits=_has_store),
}


def _damage_checkpoint(job: Job, chance: random.Random | None) -> bool:
    """Damage the newest checkpoint if there is an older one; return whether this was possible."""
    kept = sorted(job.last.parent.glob("step-*.pt"))
    if len(kept) < 2 or not job.last.exists():
        return False
    if chance is None:
        return True
    for path in (job.last, kept[-1]):
        data = bytearray(path.read_bytes())
        if chance.random() < 0.5:
            data = data[: chance.randrange(len(data))]
        else:
            data[len(data) // 2] ^= 1
        path.unlink()  # both names may be links to one file
        path.write_bytes(data)
    return True


def _leave_half_a_write(job: Job, chance: random.Random | None) -> bool:
    """Leave the traces of a crash: a temporary file and half a line of metrics."""
    if not job.last.exists():
        return False
    if chance is not None:
        (job.last.parent / "last.pt.tmp").write_bytes(chance.randbytes(1000))
        with (job.folder / "metrics.jsonl").open("a") as file:
            file.write('{"step": 1, "los')
    return True


BEFORE_START: dict[str, Callable[[Job, random.Random | None], bool]] = {
    "newest checkpoint damaged": _damage_checkpoint,
    "half a write left": _leave_half_a_write,
}


def substitute(by: dict[int, int]) -> None:
    """Make the clip plan return sample ``by[g]`` instead of g, as a disturbed run reported it."""
    clips = TrainPlan.clips

    def substituted(self: TrainPlan, first: int, count: int) -> Clips:
        planned = clips(self, first, count)
        for row, sample in enumerate(planned.sample.tolist()):
            if sample in by:
                other = clips(self, by[sample], 1)
                for column in fields(Clips):
                    getattr(planned, column.name)[row] = getattr(other, column.name)[0]
        return planned

    TrainPlan.clips = substituted  # type: ignore[method-assign]
