"""Two networks compared on the same videos: their accuracies, differences and the errors of these."""

import math
from collections.abc import Sequence

from torch import Tensor

from fastrot.evaluation.intervals import Estimate, mean_of, percentage


def shares(right: Sequence[Tensor]) -> list[float]:
    """Return the accuracies (0..1) from which of the videos are right, (N,) bool each."""
    return [each.double().mean().item() for each in right]


def paired_errors(ours: Sequence[Tensor], others: Sequence[Tensor]) -> list[float | None]:
    """Return the standard error of each difference between two accuracies (0..1) on the same videos.

    Args:
        ours: For each accuracy, which of N videos are right, (N,) bool.
        others: The same for the other network.

    Returns:
        The standard errors over the videos, 0..1; None for a single video.
    """
    return [
        mean_of((mine.double() - other.double()).tolist()).error
        for mine, other in zip(ours, others, strict=True)
    ]


def differences(
    ours: Sequence[float], others: Sequence[float], errors: Sequence[float | None], videos: int
) -> list[Estimate]:
    """Return the differences in % of accuracies (0..1) on the same ``videos``, with their errors."""
    return [
        percentage(mine - other, error, videos)
        for mine, other, error in zip(ours, others, errors, strict=True)
    ]


def chance_of_hits(known: Sequence[int], asked: Sequence[int], k: int) -> float:
    """Return the chance (0..1) that a class is among ``k`` videos drawn at random.

    Args:
        known: For each class, its number of videos in the gallery.
        asked: For each class, its number of queries, over which the chance is averaged.
        k: The number of videos drawn; more than there are count as all.
    """
    videos = sum(known)
    drawn = min(k, videos)
    none = math.comb(videos, drawn)
    hits = [1 - math.comb(videos - mine, drawn) / none for mine in known]
    return sum(hit * count for hit, count in zip(hits, asked, strict=True)) / sum(asked)
