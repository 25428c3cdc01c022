"""What a loader does about clips that cannot be read: how many it tolerates, and what took their place."""

from dataclasses import dataclass

from pipelines.errors import FastrotError

FIRST_CLIPS = 1000
"""A share means little among a few clips: so many are taken for granted from the start."""


@dataclass(frozen=True)
class Replaced:
    """A planned clip that could not be had: the plan's ``sample``, of ``video``, and the ``reason``.

    The clip of sample ``by`` took its place.
    """

    sample: int
    video: str
    reason: str
    by: int


class Tolerance:
    """How many clips may be replaced before training stops, and which were broken so far.

    Args:
        share: of the clips delivered (at least of FIRST_CLIPS), 0..1.

    Attributes:
        broken: the reason by the plan's sample.
        delivered: clips given so far, for the share.
    """

    def __init__(self, share: float):
        self._share = share
        self.broken: dict[int, str] = {}
        self.delivered = 0

    def note(self, sample: int, reason: str) -> None:
        """Note that a sample cannot be had.

        Raises:
            FastrotError: these are too many now.
        """
        self.broken[sample] = reason
        most = self._share * max(self.delivered, FIRST_CLIPS)
        if len(self.broken) > most:
            raise FastrotError(
                f"{len(self.broken)} clips cannot be read, more than data.broken_share={self._share:g} of "
                f"{max(self.delivered, FIRST_CLIPS)}; the last one: {reason}"
            )


class VideoTolerance(Tolerance):
    """The same rule for an evaluation, which skips whole videos and knows how many there are.

    Args:
        share: of the clips of all videos (at least of FIRST_CLIPS), 0..1; one video is always tolerated,
            unless ``share`` is 0.
        videos: how many are to be read.
        clips_per_video: of each; sample s is a clip of video s // clips_per_video.
    """

    def __init__(self, share: float, *, videos: int, clips_per_video: int):
        super().__init__(share)
        self._videos = videos
        self._clips_per_video = clips_per_video

    @property
    def most(self) -> int:
        """How many videos may be skipped."""
        clips = max(self._videos * self._clips_per_video, FIRST_CLIPS)
        most = max(int(self._share * clips / self._clips_per_video), int(self._share > 0))
        return min(most, self._videos - 1)

    def note(self, sample: int, reason: str) -> None:
        """Note that a sample cannot be read.

        Raises:
            FastrotError: too many videos cannot be read.
        """
        self.broken[sample % (self._videos * self._clips_per_video)] = reason
        self.check(len({each // self._clips_per_video for each in self.broken}), reason)

    def check(self, skipped: int, reason: str) -> None:
        """Check how many videos are skipped; ``reason`` is why the last one is.

        Raises:
            FastrotError: these are too many.
        """
        if skipped > self.most:
            raise FastrotError(
                f"{skipped} of {self._videos} videos cannot be read, more than "
                f"data.broken_share={self._share:g} tolerates ({self.most}); the last one: {reason}"
            )
