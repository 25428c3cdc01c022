"""Videos that an evaluation cannot read: skipped, named, and tolerated up to data.broken_share."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from fastrot.data.selection import Ints
from fastrot.distributed.runtime import Runtime
from pipelines.loading.replacement import Replaced, VideoTolerance


@dataclass(frozen=True)
class Skipped:
    """A video that a result does not cover, because a clip of it cannot be read; ``reason`` names it too."""

    video: str
    reason: str


def of_all_processes(unread: Sequence[Replaced], runtime: Runtime) -> list[Replaced]:
    """Return the clips that any process could not read, by sample; the processes call this together."""
    mine = json.dumps([asdict(clip) for clip in unread]).encode()
    clips = [Replaced(**clip) for each in runtime.all_bytes(mine) for clip in json.loads(each)]
    return sorted(clips, key=lambda clip: clip.sample)


def settle(
    unread: Sequence[Replaced],
    runtime: Runtime,
    *,
    share: float,
    videos: int,
    clips_per_video: int,
) -> tuple[Ints, list[Skipped]]:
    """Agree with all processes on the videos that count: those of which every clip was read.

    Args:
        unread: the clips that this process could not read.
        runtime: all of its processes call this together.
        share: of clips that may be unreadable, ``data.broken_share``.
        videos: how many were to be read.
        clips_per_video: uniform clips of each.

    Returns:
        The places of the videos that count, ascending int64, and the others by name.

    Raises:
        FastrotError: too many cannot be read.
    """
    found: dict[int, Skipped] = {}
    for clip in of_all_processes(unread, runtime):
        found.setdefault(clip.sample // clips_per_video, Skipped(clip.video, clip.reason))
    if found:
        tolerance = VideoTolerance(share, videos=videos, clips_per_video=clips_per_video)
        tolerance.check(len(found), list(found.values())[-1].reason)
    kept = np.setdiff1d(np.arange(videos, dtype=np.int64), np.array(list(found), dtype=np.int64))
    return kept, list(found.values())


def skipped_lines(skipped: Sequence[Skipped]) -> list[str]:
    """Return what to print about the videos that a result does not cover."""
    if not skipped:
        return []
    count = "1 video" if len(skipped) == 1 else f"{len(skipped)} videos"
    return [f"{count} skipped as unreadable:", *(f"  {each.reason}" for each in skipped)]


def merged(*lists: Sequence[Skipped]) -> list[Skipped]:
    """Return the videos of several readings, each once."""
    return list({each.video: each for several in lists for each in several}.values())
