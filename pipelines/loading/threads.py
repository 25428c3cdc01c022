"""Thread pools in which torch uses one thread per worker, without OpenMP teams."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import torch

_STARTING = threading.Lock()


def serial_threads(count: int, name: str) -> ThreadPoolExecutor:
    """Return a pool of ``count`` started threads, each limited to one torch thread.

    Otherwise OpenMP would start a team of threads for each worker, more than there are cores.

    Args:
        count: Number of threads.
        name: Prefix of the threads' names.

    Raises:
        RuntimeError: The system cannot start more threads.
    """
    started = threading.Barrier(count + 1)

    def begin() -> None:
        torch.get_num_threads()  # applies the caller's number now, which would otherwise happen later
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
            # set_num_threads in the workers also changed torch's default for new threads: restore it.
            torch.set_num_threads(of_caller)
    return pool
