"""Memory between DALI and torch: clips go from one to the other without a copy.

DALI decodes on CUDA streams of its own while torch trains on another. Its batches are asked for
such that the host waits until they are there: data that comes late then shows as waiting, and not as a
slow training step. With a few batches prefetched, the one asked for has been there for long.
"""

from collections import deque
from typing import Any

import torch


class Handover:
    """Takes DALI's batches as torch tensors, and keeps each until torch is through with it.

    DLPack lets DALI use a batch's memory again as soon as the host drops the tensor, when the GPU may
    still have the kernels ahead that read it: torch's own allocator orders that by stream, DALI
    knows nothing of torch's stream. So a batch is held until an event has passed that is recorded when
    the next one is asked for, behind everything that the consumer did with it.

    Args:
        device: the consumer's; on a CPU there is nothing to hold.
    """

    def __init__(self, device: torch.device):
        self._gpu = device if device.type == "cuda" else None
        self._last: torch.Tensor | None = None
        self._held: deque[tuple[torch.cuda.Event, torch.Tensor]] = deque()

    def take(self, output: Any) -> torch.Tensor:
        """Return a DALI TensorList of equal shapes as one tensor that shares its memory, (B, ...)."""
        tensor = torch.utils.dlpack.from_dlpack(output.as_tensor())
        if self._gpu is not None:
            self._hold(self._gpu, tensor)
        return tensor

    def _hold(self, device: torch.device, tensor: torch.Tensor) -> None:
        if self._last is not None:
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record(torch.cuda.current_stream(device))
            self._held.append((event, self._last))
        while self._held and self._held[0][0].query():  # type: ignore[no-untyped-call]
            self._held.popleft()
        self._last = tensor

    def close(self) -> None:
        """Wait until the GPU is through with all batches, and let go of them: before DALI frees their memory.

        Those that the consumer still holds stay its own affair.
        """
        if self._gpu is not None and self._last is not None:
            torch.cuda.current_stream(self._gpu).synchronize()
        self._held.clear()
        self._last = None
