"""Agreement of all processes on one number at the end of every step."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
import torch.distributed as dist

from fastrot.distributed.runtime import Runtime


@contextmanager
def agreement(runtime: Runtime) -> Iterator[Callable[[int], int]]:
    """Yield a function that takes this process's value and returns the highest value of all processes.

    On CPUs this is the value of the current step. On GPUs it is that of the previous step (0 in the first
    step), which the other hosts have already sent, so no host waits for a device or for the slowest host.
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
    except Exception:  # other processes may no longer respond
        sent.clear()
        raise
    finally:
        # Pending operations must finish before the process group is destroyed.
        while sent:
            with suppress(RuntimeError):
                receive()
