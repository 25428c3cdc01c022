"""Batches of clips and the interface of all loaders."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.loading.replacement import Replaced


@dataclass
class Batch:
    """A batch of clips.

    ``clips`` is (B, T, crop, crop, 3), uint8 RGB or int16 DIF (-255..255), and for mjpeg DIF on a GPU
    a view that is not contiguous in B. ``labels`` is (B,) int64, -1 if unlabelled. Both are on the loader's
    device. ``videos`` and ``samples`` are (B,) indices into the store and the plan. ``speeds`` is (B,), the
    clips' ``speed`` in the plan; None if the loader has no plan of clips.
    """

    clips: torch.Tensor
    labels: torch.Tensor
    videos: NDArray[np.int64]
    samples: NDArray[np.int64]
    speeds: NDArray[np.int64] | None = None


@dataclass
class LoaderStats:
    """Statistics of a loader so far.

    ``seconds`` is the time from the request for the first batch to the delivery of the last, and ``waited_s``
    the part of it in which the consumer waited. ``bytes_read`` counts bytes read from the store, slightly
    ahead of the batches. ``queue_depth`` is the mean number of batches that were ready when DALI requested
    one.
    """

    batches: int = 0
    clips: int = 0
    bytes_read: int = 0
    seconds: float = 0.0
    waited_s: float = 0.0
    queue_depth: float = 0.0
    _began: float | None = None

    @contextmanager
    def delivery(self) -> Iterator[None]:
        """Count a batch and the time to deliver it."""
        began = time.perf_counter()
        if self._began is None:
            self._began = began
        yield
        ended = time.perf_counter()
        self.batches += 1
        self.waited_s += ended - began
        self.seconds = ended - self._began

    @property
    def clips_per_s(self) -> float:
        """Clips delivered per second."""
        return self.clips / self.seconds if self.seconds else 0.0

    @property
    def bytes_per_s(self) -> float:
        """Bytes read per second."""
        return self.bytes_read / self.seconds if self.seconds else 0.0


class BatchLoader(ABC):
    """An iterator over batches, and a context manager that closes it.

    Attributes:
        stats: The loader's statistics so far.
    """

    stats: LoaderStats

    @abstractmethod
    def __next__(self) -> Batch:
        """Return the next batch."""

    @abstractmethod
    def close(self) -> None:
        """Stop the threads and free the memory."""

    def take_replaced(self) -> list[Replaced]:
        """Return the clips replaced in the batches delivered since the last call."""
        return []

    def position(self) -> bytes:
        """Return the state, besides the step number, needed to resume after the last batch, or b""."""
        return b""

    def __iter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class WrappedLoader(BatchLoader):
    """A loader that modifies another loader's batches, and passes on its statistics and position."""

    def __init__(self, loader: BatchLoader):
        self.loader = loader
        self.stats = loader.stats

    def close(self) -> None:
        """Close the wrapped loader."""
        self.loader.close()

    def take_replaced(self) -> list[Replaced]:
        """Return the wrapped loader's replacements since the last call."""
        return self.loader.take_replaced()

    def position(self) -> bytes:
        """Return the wrapped loader's position."""
        return self.loader.position()
