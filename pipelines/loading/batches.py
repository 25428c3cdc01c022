"""Batches of clips, and what every loader of them offers."""

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

    ``clips`` is (B, T, crop, crop, 3), uint8 RGB or int16 DIF (-255..255), and for mjpeg DIF on a GPU a view
    that is not contiguous in B; ``labels`` is (B,) int64, -1 where unlabelled; both on the loader's device.
    ``videos`` and ``samples`` are (B,): the store's and the plan's indices.
    """

    clips: torch.Tensor
    labels: torch.Tensor
    videos: NDArray[np.int64]
    samples: NDArray[np.int64]


@dataclass
class LoaderStats:
    """What a loader has done so far.

    ``seconds`` is the time from the first batch's request to the last one's delivery, ``waited_s`` the part
    of it in which the consumer waited; ``bytes_read`` came from the store, a little ahead of the batches;
    ``queue_depth`` is the mean number of batches that lay read and ready when DALI asked for one.
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
        """Count a batch, and the time until the consumer has it."""
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
        """Clips delivered a second."""
        return self.clips / self.seconds if self.seconds else 0.0

    @property
    def bytes_per_s(self) -> float:
        """Bytes read a second."""
        return self.bytes_read / self.seconds if self.seconds else 0.0


class BatchLoader(ABC):
    """An iterator over batches; a context manager, which closes it.

    Attributes:
        stats: What the loader has done so far.
    """

    stats: LoaderStats

    @abstractmethod
    def __next__(self) -> Batch:
        """Return the next batch."""

    @abstractmethod
    def close(self) -> None:
        """Stop the threads and free the memory."""

    def take_replaced(self) -> list[Replaced]:
        """Return the clips replaced in the batches given since the last call."""
        return []

    def position(self) -> bytes:
        """Return what resuming after the last batch needs beside the step's number, or b""."""
        return b""

    def __iter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class WrappedLoader(BatchLoader):
    """A loader that changes another one's batches, and has its figures, replacements and position."""

    def __init__(self, loader: BatchLoader):
        self.loader = loader
        self.stats = loader.stats

    def close(self) -> None:
        """Close the other loader."""
        self.loader.close()

    def take_replaced(self) -> list[Replaced]:
        """Return the other loader's replacements since the last call."""
        return self.loader.take_replaced()

    def position(self) -> bytes:
        """Return the other loader's position."""
        return self.loader.position()
