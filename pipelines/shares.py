"""Which samples of a plan each process reads, in training and in evaluation."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.errors import UsageError


@dataclass(frozen=True)
class Share:
    """The share of process ``rank`` of ``world``, in ``accumulate`` micro-batches per step."""

    rank: int = 0
    world: int = 1
    accumulate: int = 1

    def micro_batch(self, batch: int) -> int:
        """Return the clips per micro-batch when all processes together use ``batch`` clips per step.

        Raises:
            UsageError: ``batch`` does not divide into world * accumulate equal micro-batches.
        """
        slots = self.world * self.accumulate
        if batch < 1 or batch % slots:
            raise UsageError(
                f"train.batch is {batch}: it must be a multiple of {slots} "
                f"({self.world} processes x {self.accumulate} micro-batches, train.accumulate)"
            )
        return batch // slots


ALONE = Share()
"""The share of a single process: everything."""


def train_ranges(
    *, batch: int, start_step: int, steps: int, share: Share = ALONE
) -> Iterator[tuple[int, int]]:
    """Yield (first sample, count) of each micro-batch of a process, ``share.accumulate`` of them per step.

    Micro-batch m of rank r reads slot m * world + r of the step's global batch. Two ranks see in one
    micro-batch what one rank sees in two.

    Raises:
        UsageError: ``batch`` does not divide into equal micro-batches.
    """
    clips = share.micro_batch(batch)
    return (
        (step * batch + (micro * share.world + share.rank) * clips, clips)
        for step in range(start_step, start_step + steps)
        for micro in range(share.accumulate)
    )


def eval_ranges(*, total: int, batch: int, share: Share) -> Iterator[tuple[int, int]]:
    """Yield (first sample, count) of a process's contiguous share of ``total`` samples."""
    begin, end = total * share.rank // share.world, total * (share.rank + 1) // share.world
    return ((first, min(batch, end - first)) for first in range(begin, end, batch))


eval_ranges.__test__ = False  # type: ignore[attr-defined]  # not a pytest function, see EvalPlan
