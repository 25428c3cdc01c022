"""One video file in, its frames at the store's size and codec out (section 4.2's preparation), by PyAV."""

import stat
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from pipelines.containers import find_truncation
from pipelines.encode import Frame, encode
from pipelines.errors import FastrotError
from pipelines.store import Settings
from pipelines.store_writer import EncodedVideo

# A triangle filter as wide as the reduction asks (swscale widens it), so that no detail aliases.
RESIZE = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True)
class Job:
    """What a worker is handed: a file, and the settings of the store that wants it."""

    path: Path
    settings: Settings


def transcode(job: Job) -> EncodedVideo:
    """Decode a video, keep ``frames`` evenly spaced frames, resize and encode them.

    Raises:
        FastrotError: the file is truncated, has no video, or does not decode to its end.
    """
    settings = job.settings
    try:
        if not stat.S_ISREG(job.path.stat().st_mode):  # reading a pipe would wait for ever
            raise FastrotError("it is a folder, or another thing that is no file")
        truncated = find_truncation(job.path)
        if truncated:
            raise FastrotError(truncated)
        frames, fps = read_frames(job.path, settings.frames, settings.size, settings.fit)
    except av.FFmpegError as error:
        raise FastrotError(f"FFmpeg cannot decode it: {error.strerror}") from None
    except OSError as error:
        raise FastrotError(f"it cannot be read: {error.strerror}") from None
    return encode(frames, settings.codec, settings.quality, fps)


def read_frames(
    path: Path, count: int | None, size: int, fit: str = "stretch"
) -> tuple[list[Frame], float]:
    """Return ``count`` evenly spaced frames (None: all) as size x size RGB, and the kept frames' rate.

    Frame i of the N kept is the video's frame floor(i * F / N). A video with F <= N frames keeps all.
    F is counted, since headers lie: first the packets, and if decoding gives another number, the
    frames. Frames are turned as the file's display matrix says, as a player would: left on its side,
    a telephone's video would teach the wrong label. ``fit`` is ``stretch`` (the paper's: the aspect
    is not kept) or ``crop`` (aspect kept, the centre square).
    """
    total = None if count is None else _count_packets(path)
    while True:
        kept, decoded, rate = _decode(path, count, total, size, fit)
        if decoded == 0:
            raise FastrotError("it has no decodable video frame")
        if total is None or count is None or decoded == total:
            return kept, rate * len(kept) / decoded
        total = decoded


def display_rotation(path: Path) -> int:
    """Return the degrees, counter-clockwise, by which a player turns a video, from its first frame.

    Raises:
        FastrotError: it has no decodable video frame.
    """
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(_video_stream(container)):
                return round(frame.rotation / 90) * 90 % 360
    except av.FFmpegError as error:
        raise FastrotError(f"{path}: FFmpeg cannot decode it: {error.strerror}") from None
    raise FastrotError(f"{path}: it has no decodable video frame")


def even_indices(total: int, count: int | None) -> list[int]:
    """Return which of ``total`` frames to keep for ``count`` evenly spaced ones (None: all)."""
    if count is None or total <= count:
        return list(range(total))
    return [i * total // count for i in range(count)]


def _count_packets(path: Path) -> int:
    with av.open(str(path)) as container:
        stream = _video_stream(container)
        return sum(1 for packet in container.demux(stream) if packet.size)


def _decode(
    path: Path, count: int | None, total: int | None, size: int, fit: str
) -> tuple[list[Frame], int, float]:
    """Return the kept frames, how many were decoded, and the video's frame rate (25 where unknown)."""
    wanted = None if total is None else set(even_indices(total, count))
    reformatter = VideoReformatter()
    kept: list[Frame] = []
    decoded = 0
    with av.open(str(path)) as container:
        stream = _video_stream(container)
        stream.codec_context.thread_count = 1  # the workers are the parallelism
        pixel_aspect = float(stream.sample_aspect_ratio or 1)
        for frame in container.decode(stream):
            if wanted is None or decoded in wanted:
                aspect = pixel_aspect * frame.width / frame.height if fit == "crop" else 1.0
                kept.append(_to_square(frame, size, aspect, reformatter))
            decoded += 1
        rate = float(stream.average_rate or 25)
    return kept, decoded, rate


def _to_square(frame: VideoFrame, size: int, aspect: float, reformatter: VideoReformatter) -> Frame:
    """Resize to ``aspect`` with ``size`` as the shorter side, cut the centre square, turn it upright."""
    width, height = max(size, round(size * aspect)), max(size, round(size / aspect))
    resized = reformatter.reformat(
        frame, width, height, "rgb24", interpolation=RESIZE, threads=1
    ).to_ndarray()
    top, left = (height - size) // 2, (width - size) // 2
    square = resized[top : top + size, left : left + size]
    return np.ascontiguousarray(np.rot90(square, round(frame.rotation / 90)))


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    if not container.streams.video:
        raise FastrotError("it has no video stream")
    return container.streams.video[0]
