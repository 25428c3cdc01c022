"""The protocol of a result, and the base class of all results."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from fastrot.evaluation.scramble import Scramble
from fastrot.evaluation.unreadable import Skipped, skipped_lines


@dataclass(frozen=True)
class Protocol:
    """How a result was measured.

    ``clips_per_video`` uniformly spaced clips were cropped at the centre, ``crop`` of ``size`` pixels.
    ``weights`` describes which weights of the network were trained on this task. ``scramble`` is how clips
    were scrambled, such as "lowpass:2", or "". Clips were played at each of ``speeds``, multiples of
    ``stride``; () is the stride alone.
    """

    store: str
    split: str
    videos: int
    clips_per_video: int
    frames: int
    stride: int
    modality: str
    crop: int
    size: int
    weights: str = "full fine-tuning"
    camera_motion: str = "keep"
    dead_zone: int = 0
    scramble: str = ""
    speeds: tuple[int, ...] = ()

    @property
    def input(self) -> str:
        """The input of the network, such as "DIF, camera motion removed"."""
        name = self.modality.upper()
        if self.camera_motion == "remove":
            name += ", camera motion removed"
        if self.dead_zone:
            name += f", dead zone {self.dead_zone}"
        return f"{name}, scrambled ({self.scramble})" if self.scramble else name

    def __str__(self) -> str:
        clips = "clip" if self.clips_per_video == 1 else "clips"
        speeds = f" x speeds {', '.join(map(str, self.speeds))}" if self.speeds else ""
        return (
            f"{self.store}, split {self.split}, {self.videos} videos, {self.clips_per_video} uniform "
            f"{clips} per video, {self.frames} {self.input} frames at stride {self.stride}{speeds}, "
            f"centre crop {self.crop} of {self.size}, {self.weights}"
        )


@dataclass(frozen=True, kw_only=True)
class Result(ABC):
    """The result of an evaluation.

    Attributes:
        protocol: How it was measured.
        skipped: The unreadable videos, which are not counted in any number.
    """

    protocol: Protocol
    skipped: list[Skipped] = field(default_factory=list)

    @abstractmethod
    def findings(self) -> list[str]:
        """Return the numbers and the protocol as lines to print."""

    def lines(self) -> list[str]:
        """Return all lines to print: the findings, what a scramble asks, then the skipped videos."""
        scramble = self.protocol.scramble
        asked = [Scramble.parse(scramble).question] if scramble else []
        return [*self.findings(), *asked, *skipped_lines(self.skipped)]
