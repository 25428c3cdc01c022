"""Worker processes for unsafe work such as decoding: a crash or a hang costs one item, not the run."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkerLostError(Exception):
    """A worker crashed, or was killed at the time limit (``timed_out``)."""

    def __init__(self, message: str, *, timed_out: bool = False):
        super().__init__(message)
        self.timed_out = timed_out


class _Worker(Generic[Item, Result]):
    """A process and its pipe. ``item`` is the index of its current item, None while it starts."""

    def __init__(self, function: Callable[[Item], Result]):
        # spawn: the caller may have threads (torch, DALI), which a fork would leave in an inconsistent state.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(function, theirs), daemon=True)
        with _interrupts_ignored():
            self.process.start()
        theirs.close()
        self.item: int | None = None
        self.deadline = float("inf")

    def await_start(self) -> None:
        """Receive the worker's first message. Starting does not count towards an item's time limit."""
        try:
            self.pipe.recv()
        except (EOFError, ConnectionResetError):
            raise RuntimeError(
                "a worker process could not start: see the traceback above"
            ) from None

    def give(self, index: int, item: Item, time_limit: float) -> None:
        """Send an item to the worker and start its time limit."""
        self.item = index
        self.deadline = time.monotonic() + time_limit
        with contextlib.suppress(BrokenPipeError):  # a dead worker is detected by its sentinel
            self.pipe.send(item)

    def stop(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def run_isolated(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int,
    time_limit: float = float("inf"),
) -> Generator[tuple[int, Result | Exception], None, None]:
    """Apply ``function`` to items in worker processes, and yield (index, result or exception) as completed.

    Closing the generator kills the workers.

    ``function`` must be importable, because it runs in spawned processes. An item whose worker crashes, or
    takes more than ``time_limit`` seconds, yields WorkerLostError, and a new worker takes over.
    """
    given = 0
    pool: list[_Worker[Item, Result]] = []
    try:
        pool += [_Worker(function) for _ in range(min(workers, len(items)))]
        while pool:
            for worker in _ready(pool):
                if worker.item is None:
                    worker.await_start()
                else:
                    outcome: Result | Exception = _collect(worker, time_limit)
                    yield worker.item, outcome
                if given == len(items):
                    worker.stop()
                    pool.remove(worker)
                elif worker.process.is_alive():
                    worker.give(given, items[given], time_limit)
                    given += 1
                else:
                    worker.stop()
                    pool[pool.index(worker)] = _Worker(function)
    finally:
        for worker in pool:
            worker.stop()


def _ready(pool: list[_Worker[Item, Result]]) -> list[_Worker[Item, Result]]:
    """Wait for a result, the end of a process or a deadline, and return the workers concerned."""
    left = max(0.0, min(worker.deadline for worker in pool) - time.monotonic())
    handles: list[Any] = [worker.pipe for worker in pool]
    handles += [worker.process.sentinel for worker in pool]
    done = set(wait(handles, timeout=None if left == float("inf") else left))
    now = time.monotonic()
    return [
        worker
        for worker in pool
        if worker.pipe in done or worker.process.sentinel in done or worker.deadline <= now
    ]


def _collect(worker: _Worker[Any, Result], time_limit: float) -> Result | Exception:
    # If a worker dies while sending its result, reading it raises an OSError.
    with contextlib.suppress(EOFError, OSError):
        if worker.pipe.poll():
            return cast(Result | Exception, worker.pipe.recv())
    if time.monotonic() >= worker.deadline:
        worker.process.kill()
        worker.process.join()
        return WorkerLostError(f"exceeded the time limit of {time_limit:g} s", timed_out=True)
    worker.process.join()  # its pipe is closed, but the exit code may be available slightly later
    code = worker.process.exitcode or 0
    cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return WorkerLostError(f"the worker process crashed ({cause})")


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Make processes started in this context ignore Ctrl-C, which the parent handles."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set signal handlers
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(function: Callable[[Item], Result], pipe: Connection) -> None:
    """Run the worker's loop until the parent closes the pipe, kills the worker or dies."""
    threading.Thread(target=die_with_parent, daemon=True).start()
    pipe.send("started")
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        try:
            result: Result | Exception = function(item)
        except Exception as error:
            result = error
        pipe.send(result)


def die_with_parent() -> None:
    """End this process when its parent is killed, instead of finishing a long video."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)
