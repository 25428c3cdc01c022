"""Collective operations of a run. All processes must call them together; one process needs no group."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pipelines.errors import FastrotError

T = TypeVar("T")


@dataclass(frozen=True)
class Collectives:
    """Collective operations of one process of a run.

    Attributes:
        device: Device on which tensors are exchanged.
        rank: Global rank of this process; rank 0 writes and prints.
        world: Number of processes.
    """

    device: torch.device
    rank: int
    world: int

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def all_sum(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over all processes, in place, and return it."""
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def all_rows(self, row: Tensor) -> Tensor:
        """Return every process's ``row`` stacked: (world, *row.shape)."""
        rows = torch.zeros((self.world, *row.shape), dtype=row.dtype, device=row.device)
        rows[self.rank] = row
        return self.all_sum(rows)

    def all_bytes(self, data: bytes) -> list[bytes]:
        """Return every process's ``data``, by rank."""
        sizes = self.all_rows(torch.tensor(len(data), device=self.device)).tolist()
        padded = bytearray(data.ljust(max(1, *sizes), b"\0"))
        rows = self.all_rows(torch.frombuffer(padded, dtype=torch.uint8).to(self.device)).cpu()
        return [row[:size].numpy().tobytes() for row, size in zip(rows, sizes, strict=True)]

    def share_buffers(self, network: nn.Module) -> None:
        """Copy rank 0's buffers to every process, since BatchNorm statistics differ between processes."""
        if self.world > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)

    def on_main(self, action: Callable[[], T]) -> T:
        """Run ``action`` in rank 0, and return its result, or raise its error, in every process."""
        outcome: list[Any] = [None, None]
        if self.is_main:
            try:
                outcome[0] = action()
            except FastrotError as error:
                outcome[1] = error
        if self.world > 1:
            dist.broadcast_object_list(outcome, src=0)
        if outcome[1] is not None:
            raise outcome[1]
        result: T = outcome[0]
        return result
