"""Passes clips from DALI to torch without a copy.

DALI decodes on its own CUDA streams while torch trains on another. The host waits until a requested batch is
complete, so that late data is measured as waiting time and not as a slow training step. With a few prefetched
batches, the requested one is normally complete already.
"""

from collections import deque
from typing import Any

import torch


class Handover:
    """Converts DALI's batches to torch tensors, and holds each until torch has finished with it.

    With DLPack, DALI may reuse a batch's memory as soon as the host drops the tensor, although kernels that
    read it may still be queued on the GPU. Torch's own allocator orders reuse by stream, but DALI does not
    know torch's stream. A batch is therefore held until an event completes that is recorded when the next
    batch is requested, after all work that the consumer queued on it.

    Args:
        device: The consumer's device; on a CPU nothing is held.
    """

    def __init__(self, device: torch.device):
        self._gpu = device if device.type == "cuda" else None
        self._last: torch.Tensor | None = None
        self._held: deque[tuple[torch.cuda.Event, torch.Tensor]] = deque()

    def take(self, output: Any) -> torch.Tensor:
        """Return a DALI TensorList of equal shapes as one tensor, (B, ...), that shares its memory."""
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
        """Wait until the GPU has finished with all batches, and release them.

        Call this before DALI frees their memory. Batches that the consumer still references are the
        consumer's responsibility.
        """
        if self._gpu is not None and self._last is not None:
            torch.cuda.current_stream(self._gpu).synchronize()
        self._held.clear()
        self._last = None
