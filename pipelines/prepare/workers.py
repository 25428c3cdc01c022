"""Worker processes that survive what decoders do to them: a crash or a hang costs one item, not the run."""

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
    """A worker was killed by a crash, or by the time limit (``timed_out``); the message says which."""

    def __init__(self, message: str, *, timed_out: bool = False):
        super().__init__(message)
        self.timed_out = timed_out


class _Worker(Generic[Item, Result]):
    """One process and the pipe to it; ``item`` is the index of what it works on, None while it starts."""

    def __init__(self, function: Callable[[Item], Result]):
        # spawn: the caller may hold threads (torch, DALI), which a fork would leave in a broken state.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(function, theirs), daemon=True)
        with _interrupts_ignored():
            self.process.start()
        theirs.close()
        self.item: int | None = None
        self.deadline = float("inf")

    def await_start(self) -> None:
        """Take the worker's first message. Starting is not part of any item's time."""
        try:
            self.pipe.recv()
        except (EOFError, ConnectionResetError):
            raise RuntimeError(
                "a worker process could not start: see its traceback above"
            ) from None

    def give(self, index: int, item: Item, time_limit: float) -> None:
        """Hand an item over and start its clock."""
        self.item = index
        self.deadline = time.monotonic() + time_limit
        with contextlib.suppress(BrokenPipeError):  # a dead worker is found by its sentinel
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
    """Yield (index of the item, result or the exception that it raised), as they come.

    Closing the generator kills the workers.

    ``function`` must be importable (it runs in spawned processes). An item whose worker crashes, or
    takes more than ``time_limit`` seconds, yields WorkerLostError, and a new worker takes the next.
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
    """Wait for a result, a death or a deadline; return the workers concerned."""
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
    # A worker that dies in the middle of its answer leaves a plain OSError.
    with contextlib.suppress(EOFError, OSError):
        if worker.pipe.poll():
            return cast(Result | Exception, worker.pipe.recv())
    if time.monotonic() >= worker.deadline:
        worker.process.kill()
        worker.process.join()
        return WorkerLostError(f"it took longer than the limit of {time_limit:g} s", timed_out=True)
    worker.process.join()  # its files are closed; its exit code may be a moment behind
    code = worker.process.exitcode or 0
    cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return WorkerLostError(f"the process that worked on it crashed ({cause})")


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Let a process started here inherit that it ignores Ctrl-C, which is its parent's business."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set signal handlers
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(function: Callable[[Item], Result], pipe: Connection) -> None:
    """The worker's loop, until the parent closes the pipe, kills it or dies."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
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


def _die_with_parent() -> None:
    """End this process when its parent is killed: it may have an hour of video left to write."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)
