"""Sets of rotations that the pretext task classifies (section 3.2), and their labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.errors import UsageError

QUARTER_TURNS = (0, 90, 180, 270)
EIGHTH_TURNS = (0, 45, 90, 135, 180, 225, 270, 315)


@dataclass(frozen=True)
class RotationSet:
    """The classes of the pretext task: two or more of the quarter turns, or all eight steps of 45 degrees.

    The paper's sets are (0, 90), (0, 90, 180), (90, 180, 270), (0, 90, 180, 270), and the eight steps.

    Attributes:
        degrees: Counter-clockwise angles in ascending order. The index of a rotation is its class label.
    """

    degrees: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.degrees)

    @property
    def exact(self) -> bool:
        """Whether every rotation is a permutation of the pixels; if not, all are resampled the same way."""
        return all(turn in QUARTER_TURNS for turn in self.degrees)

    def labels(self, clips: int, device: torch.device | str = "cpu") -> Tensor:
        """Return the labels of a rotated batch, rotation-major: the first rotation of every clip comes first.

        Args:
            clips: Clips in the batch before rotation, B.
            device: Device of the labels.

        Returns:
            (R*B,) int64: B times 0, then B times 1, and so on.
        """
        return torch.arange(len(self), device=device).repeat_interleave(clips)


def rotation_set(degrees: Sequence[int]) -> RotationSet:
    """Check the angles of a pretext task and return them as a set.

    Args:
        degrees: At least two of 0, 90, 180 and 270, or all of 0, 45, ... 315, in ascending order.

    Raises:
        UsageError: The angles are not supported, repeated, too few or out of order.
    """
    chosen = tuple(degrees)
    quarters = tuple(turn for turn in QUARTER_TURNS if turn in chosen)
    if chosen != EIGHTH_TURNS and (len(chosen) < 2 or chosen != quarters):
        raise UsageError(
            f"invalid rotations {list(chosen)}: give at least two of {list(QUARTER_TURNS)} in ascending "
            f"order, or all of {list(EIGHTH_TURNS)}"
        )
    return RotationSet(chosen)
