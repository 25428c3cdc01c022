"""Means over videos and their standard errors: the clips and rotations of a video are not independent."""

from dataclasses import dataclass

from torch import Tensor

NORMAL_95 = 1.96
"""Half of a 95 % confidence interval in standard errors, for a mean over many videos."""


@dataclass(frozen=True)
class VideoMean:
    """The mean over videos and its standard error, which is None for a single video."""

    mean: float
    error: float | None

    def percent(self) -> str:
        """Return a share (0..1) in % with half of its 95 % interval, such as "28.59 % ± 3.77"."""
        width = "" if self.error is None else f" ± {100 * NORMAL_95 * self.error:.2f}"
        return f"{100 * self.mean:.2f} %{width}"


def video_mean(values: Tensor) -> VideoMean:
    """Average one value per video, (N,).

    The standard error is the standard deviation (of a sample, over N - 1) divided by the root of N. It treats
    videos as independent, but nothing within a video.
    """
    values = values.double()
    count = len(values)
    error = float(values.std() / count**0.5) if count > 1 else None
    return VideoMean(float(values.mean()), error)
