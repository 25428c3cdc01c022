"""Unreadable videos of an evaluation: skipped, reported, and tolerated up to data.broken_share."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from fastrot.data.selection import Ints
from fastrot.distributed.runtime import Runtime
from pipelines.loading.replacement import Replaced, VideoTolerance


@dataclass(frozen=True)
class Skipped:
    """A video skipped because one of its clips is unreadable; ``reason`` contains its name."""

    video: str
    reason: str


def of_all_processes(unread: Sequence[Replaced], runtime: Runtime) -> list[Replaced]:
    """Return the clips that any process could not read, sorted by sample; all processes must call this."""
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
    """Agree with all processes on the videos that count, which are those with all clips readable.

    Args:
        unread: The clips that this process could not read.
        runtime: All of its processes must call this function.
        share: Share of clips that may be unreadable, ``data.broken_share``.
        videos: Number of videos to read.
        clips_per_video: Uniform clips per video.

    Returns:
        The positions of the videos that count, ascending int64, and the skipped videos.

    Raises:
        FastrotError: Too many videos are unreadable.
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
    """Return the lines to print about skipped videos."""
    if not skipped:
        return []
    count = "1 video" if len(skipped) == 1 else f"{len(skipped)} videos"
    return [f"{count} skipped as unreadable:", *(f"  {each.reason}" for each in skipped)]


def merged(*lists: Sequence[Skipped]) -> list[Skipped]:
    """Return the skipped videos of several passes without duplicates."""
    return list({each.video: each for several in lists for each in several}.values())
