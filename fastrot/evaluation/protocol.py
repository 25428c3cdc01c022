"""How a result was measured, and what all results have in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from fastrot.evaluation.unreadable import Skipped, skipped_lines


@dataclass(frozen=True)
class Protocol:
    """How a result was measured, without which it means little.

    ``clips_per_video`` uniform clips were cropped at the centre, ``crop`` pixels of ``size``; ``weights``
    says which of the network's weights the training on this task moved.
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

    @property
    def input(self) -> str:
        """What the network saw, such as "DIF, camera motion removed"."""
        name = self.modality.upper()
        if self.camera_motion == "remove":
            name += ", camera motion removed"
        return f"{name}, dead zone {self.dead_zone}" if self.dead_zone else name

    def __str__(self) -> str:
        clips = "clip" if self.clips_per_video == 1 else "clips"
        return (
            f"{self.store}, split {self.split}, {self.videos} videos, {self.clips_per_video} uniform "
            f"{clips} a video, {self.frames} {self.input} frames at stride {self.stride}, "
            f"centre crop {self.crop} of {self.size}, {self.weights}"
        )


@dataclass(frozen=True, kw_only=True)
class Result(ABC):
    """What an evaluation of a network found.

    Attributes:
        protocol: how it was measured.
        skipped: the videos that cannot be read; they count nowhere.
    """

    protocol: Protocol
    skipped: list[Skipped] = field(default_factory=list)

    @abstractmethod
    def findings(self) -> list[str]:
        """Return the numbers and the protocol as lines to print."""

    def lines(self) -> list[str]:
        """Return all that there is to print: the findings, then the skipped videos."""
        return [*self.findings(), *skipped_lines(self.skipped)]
