"""Threads in which torch works alone, without OpenMP's."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import torch

_STARTING = threading.Lock()


def serial_threads(count: int, name: str) -> ThreadPoolExecutor:
    """Return a pool of ``count`` threads, all started, each of which is torch's only one for what it does.

    Without this OpenMP would start a team of threads for each of them: more than there are cores.

    Args:
        count: of threads.
        name: begins the name of each.

    Raises:
        RuntimeError: the system has no more threads.
    """
    started = threading.Barrier(count + 1)

    def begin() -> None:
        torch.get_num_threads()  # takes over the caller's number, which would else happen later
        torch.set_num_threads(1)
        with contextlib.suppress(threading.BrokenBarrierError):
            started.wait()

    with _STARTING:
        of_caller = torch.get_num_threads()
        pool = ThreadPoolExecutor(count, thread_name_prefix=name, initializer=begin)
        try:
            for _ in range(count):
                pool.submit(int)
            started.wait()
        except BaseException:
            started.abort()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            # torch keeps a number for each thread, and one for those to come: only that was lost.
            torch.set_num_threads(of_caller)
    return pool
