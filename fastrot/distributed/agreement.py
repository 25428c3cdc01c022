"""A number on which all processes agree at the end of every step."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
import torch.distributed as dist

from fastrot.distributed.runtime import Runtime


@contextmanager
def agreement(runtime: Runtime) -> Iterator[Callable[[int], int]]:
    """Yield a function of this process's value that returns the highest value of all processes.

    On a CPU it is that of the current step. On GPUs it is that of the step before (0 in the first),
    which the other hosts sent long ago: no host waits for a device, nor for the slowest host.
    """
    late = int(runtime.device.type == "cuda")
    sent: deque[tuple[torch.Tensor, Any]] = deque()

    def receive() -> int:
        value, work = sent.popleft()
        work.wait()
        return int(value.item())

    def highest(value: int) -> int:
        if runtime.world == 1:
            return value
        tensor = torch.tensor([value])
        work = dist.all_reduce(tensor, dist.ReduceOp.MAX, group=runtime.control, async_op=True)
        sent.append((tensor, work))
        return receive() if len(sent) > late else 0

    try:
        yield highest
    except Exception:  # other processes may not answer any more
        sent.clear()
        raise
    finally:
        # What was sent must end before the process group does.
        while sent:
            with suppress(RuntimeError):
                receive()
