"""Execute a plan in several processes on one machine, each with its share of the cores.

Small networks train faster this way: two runs on one core each finish earlier than one after the other on
both cores.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from itertools import groupby
from pathlib import Path

from fastrot.distributed.thread_count import VARIABLE
from fastrot.reproduce.execute import Workshop, carry_out_measurement, carry_out_run, noting
from fastrot.reproduce.run_plan import Measurement, Plan, TrainRun, run_id
from fastrot.terminal import console
from fastrot.training.interrupt import INTERRUPTED, Interrupt
from pipelines.cores import cores
from pipelines.errors import FastrotError, PreemptedError
from pipelines.prepare.workers import die_with_parent

POLL_S = 0.5
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGQUIT)

Work = Callable[[Path, TrainRun], list[str]] | Callable[[Path, Measurement], list[str]]


def carry_out_in_jobs(
    plan: Plan, workshop: Workshop, jobs: int, share: set[str] | None = None
) -> list[str]:
    """Execute all unfinished runs and measurements of a plan, several at a time.

    A signal saves and stops the runs in progress, as in a single process. Measurements in progress finish.

    Args:
        plan: The plan.
        workshop: The output folder.
        jobs: Number of processes.
        share: ``run_id`` of the runs of this machine, or None for all.

    Returns:
        A line for each run and measurement that failed or is waiting for a run of another machine.

    Raises:
        FastrotError: A process was killed.
        KeyboardInterrupt: Ctrl-C was pressed.
        PreemptedError: One of the other signals was received.
    """
    runs = [run for run in plan.runs if share is None or run_id(run) in share]
    measurements = [
        each for each in plan.measurements if share is None or run_id(each.of.run) in share
    ]
    left: list[str] = []
    with _pool(jobs) as pool:
        # Runs of one level do not depend on each other. The plan is in the order of the levels.
        for _, level in groupby(runs, key=lambda run: run.level):
            todo = [run for run in level if not workshop.is_finished(run)]
            left += _together(pool, jobs, _train, workshop.out, todo, "runs")
        waiting = [each for each in measurements if not workshop.is_measured(each)]
        left += _together(pool, jobs, _measure, workshop.out, waiting, "measurements")
    return left


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Start the processes, and stop them if the body fails."""
    threads = max(1, cores() // jobs)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _begin, (threads,)) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _begin(threads: int) -> None:
    """Prepare a process: its threads, no output, and no end by a signal except while it trains."""
    threading.Thread(target=die_with_parent, daemon=True).start()
    os.environ.setdefault(VARIABLE, str(threads))
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _IGNORED)  # blocked by ``_submit``
    console.silence()


def _submit(pool: ProcessPoolExecutor, work: Work, *args: object) -> Future[list[str]]:
    """Submit a call. A process that this starts inherits the blocked signals until it can ignore them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _IGNORED)
    try:
        return pool.submit(work, *args)  # type: ignore[arg-type]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _together(
    pool: ProcessPoolExecutor,
    jobs: int,
    work: Work,
    out: Path,
    todo: Sequence[TrainRun] | Sequence[Measurement],
    unit: str,
) -> list[str]:
    """Do the work on each item, and return the lines about what failed."""
    left: list[str] = []
    if not todo:
        return left
    waiting: deque[TrainRun | Measurement] = deque(todo)
    running: dict[Future[list[str]], str] = {}
    with Interrupt() as interrupt, console.progress(len(todo), "reproduce", unit) as advance:
        while running or (waiting and not interrupt.asked):
            # The pool gets no more than it can start: what is in its queue cannot be cancelled.
            while waiting and len(running) < jobs and not interrupt.asked:
                item = waiting.popleft()
                running[_submit(pool, work, out, item)] = item.name
            for future in wait(running, POLL_S, FIRST_COMPLETED).done:
                lines = _lines_of(future, running.pop(future))
                if lines is not None:
                    left += lines
                    advance()
            if interrupt.asked:
                # Repeated, because a process that has not begun to train ignores it. Training saves and
                # stops; in addition to Ctrl-C it counts as one request.
                for process in multiprocessing.active_children():
                    process.terminate()
        if interrupt.asked:
            raise KeyboardInterrupt if interrupt.asked == INTERRUPTED else PreemptedError
    return left


def _lines_of(future: Future[list[str]], name: str) -> list[str] | None:
    """Print what became of an item, and return the lines about what failed, or None if it was stopped."""
    try:
        lines = future.result()
    except BrokenProcessPool:
        raise FastrotError(
            f"a process was killed while {name} was in progress, perhaps for lack of memory: run the same "
            "command to resume, with a smaller --jobs"
        ) from None
    except KeyboardInterrupt:
        console.say(f"{name}: stopped and saved")
        return None
    console.say("; ".join(lines) or f"finished {name}")
    return lines


def _train(out: Path, run: TrainRun) -> list[str]:
    left: list[str] = []
    with noting(run.name, left):
        carry_out_run(run, _workshop(out))
    return left


def _measure(out: Path, measurement: Measurement) -> list[str]:
    left: list[str] = []
    with noting(measurement.name, left):
        carry_out_measurement(measurement, _workshop(out))
    return left


@cache
def _workshop(out: Path) -> Workshop:
    return Workshop(out)
