"""What a loader does about clips that cannot be had: how many it bears, and what took their place."""

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
