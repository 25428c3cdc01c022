"""Unreadable clips: how many a loader tolerates, and which clips replace them."""

from dataclasses import dataclass

from pipelines.errors import FastrotError

FIRST_CLIPS = 1000
"""The tolerated share is applied to at least this many clips, because it means little for a few."""


@dataclass(frozen=True)
class Replaced:
    """An unreadable clip: the plan's ``sample``, its ``video`` and the ``reason``.

    The clip of sample ``by`` replaced it.
    """

    sample: int
    video: str
    reason: str
    by: int


class Tolerance:
    """Limits how many clips may be replaced before training stops, and records unreadable clips.

    Args:
        share: The tolerated share of the clips delivered (of at least FIRST_CLIPS), 0..1.

    Attributes:
        broken: Reasons by the plan's sample.
        delivered: Number of clips delivered so far.
    """

    def __init__(self, share: float):
        self._share = share
        self.broken: dict[int, str] = {}
        self.delivered = 0

    def note(self, sample: int, reason: str) -> None:
        """Record that a sample cannot be read.

        Raises:
            FastrotError: Too many clips cannot be read.
        """
        self.broken[sample] = reason
        most = self._share * max(self.delivered, FIRST_CLIPS)
        if len(self.broken) > most:
            raise FastrotError(
                f"{len(self.broken)} clips cannot be read, more than data.broken_share={self._share:g} of "
                f"{max(self.delivered, FIRST_CLIPS)}; the last one: {reason}"
            )


class VideoTolerance(Tolerance):
    """The same limit for an evaluation, which skips whole videos and knows their number.

    Args:
        share: The tolerated share of the clips of all videos (of at least FIRST_CLIPS), 0..1. One video is
            always tolerated, unless ``share`` is 0.
        videos: Number of videos to evaluate.
        clips_per_video: Clips of each video. Sample s is a clip of video s // clips_per_video.
    """

    def __init__(self, share: float, *, videos: int, clips_per_video: int):
        super().__init__(share)
        self._videos = videos
        self._clips_per_video = clips_per_video

    @property
    def most(self) -> int:
        """The maximum number of videos that may be skipped."""
        clips = max(self._videos * self._clips_per_video, FIRST_CLIPS)
        most = max(int(self._share * clips / self._clips_per_video), int(self._share > 0))
        return min(most, self._videos - 1)

    def note(self, sample: int, reason: str) -> None:
        """Record that a sample of the evaluation cannot be read.

        Raises:
            FastrotError: Too many videos cannot be read.
        """
        self.broken[sample % (self._videos * self._clips_per_video)] = reason
        self.check(len({each // self._clips_per_video for each in self.broken}), reason)

    def check(self, skipped: int, reason: str) -> None:
        """Check the number of skipped videos. ``reason`` is why the last one was skipped.

        Raises:
            FastrotError: Too many videos were skipped.
        """
        if skipped > self.most:
            raise FastrotError(
                f"{skipped} of {self._videos} videos cannot be read, more than "
                f"data.broken_share={self._share:g} tolerates ({self.most}); the last one: {reason}"
            )
