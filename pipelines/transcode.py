"""One video file in, its frames at the store's size and codec out (section 4.2's preparation), by PyAV."""

import contextlib
import dataclasses
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from pipelines.containers import find_truncation
from pipelines.encode import Frame, encode
from pipelines.errors import FastrotError
from pipelines.shard_writing import EncodedVideo
from pipelines.spool import MEMORY_BYTES, Spool
from pipelines.store import Settings

Made = TypeVar("Made")

# A triangle filter as wide as the reduction asks (swscale widens it), so that no detail aliases.
RESIZE = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True)
class Job:
    """What a worker is handed: a file, and the settings of the store that wants it.

    ``spools`` is a folder for temporary files, None keeps everything in memory. ``number`` names the
    job's file there, and ``memory`` is how many bytes of encoded video need none. Whoever made the job
    calls ``clean_up`` in the end.
    """

    path: Path
    settings: Settings
    spools: Path | None = None
    number: int = 0
    memory: int = MEMORY_BYTES

    @property
    def spool(self) -> Path | None:
        """The job's temporary file, which is there for long videos only."""
        return None if self.spools is None else self.spools / str(self.number)

    def clean_up(self) -> None:
        """Remove the temporary file, if there is one."""
        if self.spool is not None:
            self.spool.unlink(missing_ok=True)


def transcode(job: Job) -> EncodedVideo:
    """Decode a video, keep ``frames`` evenly spaced frames, resize and encode them.

    Frames are encoded as they are decoded, so memory does not grow with the video's length.

    Raises:
        FastrotError: the file is truncated, has no video, or does not decode to its end.
        SpoolError: the temporary file cannot be written.
    """
    settings = job.settings
    with _reading_errors():
        if not stat.S_ISREG(job.path.stat().st_mode):  # reading a pipe would wait for ever
            raise FastrotError("it is a folder, or another thing that is no file")
        truncated = find_truncation(job.path)
        if truncated:
            raise FastrotError(truncated)

    def encoded(frames: Iterator[Frame], fps: float) -> EncodedVideo:
        spool = Spool(job.spool, job.memory)
        return encode(frames, settings.codec, settings.quality, fps, spool)

    video, fps = stream_frames(job.path, settings.frames, settings.size, settings.fit, encoded)
    return dataclasses.replace(video, fps=fps)


def read_frames(
    path: Path, count: int | None, size: int, fit: str = "stretch"
) -> tuple[list[Frame], float]:
    """Return a list of what ``stream_frames`` gives, and the kept frames' rate."""
    return stream_frames(path, count, size, fit, lambda frames, fps: list(frames))


def stream_frames(
    path: Path,
    count: int | None,
    size: int,
    fit: str,
    consume: Callable[[Iterator[Frame], float], Made],
) -> tuple[Made, float]:
    """Hand over ``count`` evenly spaced frames (None: all) as size x size RGB, one after another.

    Frame i of the N kept is the video's frame floor(i * F / N). A video with F <= N frames keeps all.
    F is counted, since headers lie: first the packets, and if decoding gives another number, the
    frames. Frames are turned as the file's display matrix says, as a player would: left on its side,
    a telephone's video would teach the wrong label.

    Args:
        path: the video.
        count: N.
        size: side of the frames in pixels.
        fit: ``stretch`` (the paper's: the aspect is not kept) or ``crop`` (aspect kept, the centre square).
        consume: takes the frames and their expected rate. It is called again from the start where
            the packets had told another F than the frames.

    Returns:
        What ``consume`` made in its last call, and the kept frames' rate.

    Raises:
        FastrotError: the video cannot be read, has no frame, or does not decode to its end.
    """
    with _reading_errors():
        total = None if count is None else max(1, _count_packets(path))
    while True:
        wanted = None if total is None else set(even_indices(total, count))
        with _reading_errors():
            decoding = _Decoding(path, wanted, size, fit)
        fps = decoding.rate if total is None else decoding.rate * len(wanted or ()) / total
        made = consume(decoding.frames(), fps)
        if total is None or decoding.decoded == total:
            return made, decoding.rate * decoding.kept / decoding.decoded
        total = decoding.decoded


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


class _Decoding:
    """One pass over a video.

    Attributes:
        rate: frames a second of the video, 25 where unknown.
        decoded: frames that were decoded so far.
        kept: how many of them were wanted.
    """

    def __init__(self, path: Path, wanted: set[int] | None, size: int, fit: str):
        self._wanted = wanted
        self._size = size
        self._fit = fit
        self._container = av.open(str(path))
        self._stream = _video_stream(self._container)
        self.rate = float(self._stream.average_rate or 25)
        self.decoded = 0
        self.kept = 0

    def frames(self) -> Iterator[Frame]:
        """Decode to the video's end; yield the wanted frames. Raises FastrotError, also if there is none."""
        stream = self._stream
        reformatter = VideoReformatter()
        with _reading_errors(), self._container as container:
            stream.codec_context.thread_count = 1  # the workers are the parallelism
            pixel_aspect = float(stream.sample_aspect_ratio or 1)
            for frame in container.decode(stream):
                if self._wanted is None or self.decoded in self._wanted:
                    crop = self._fit == "crop"
                    aspect = pixel_aspect * frame.width / frame.height if crop else 1.0
                    self.kept += 1
                    yield _to_square(frame, self._size, aspect, reformatter)
                self.decoded += 1
        if self.decoded == 0:
            raise FastrotError("it has no decodable video frame")


@contextlib.contextmanager
def _reading_errors() -> Iterator[None]:
    """Tell what went wrong with the video, as a FastrotError."""
    try:
        yield
    except av.FFmpegError as error:
        raise FastrotError(f"FFmpeg cannot decode it: {error.strerror}") from None
    except OSError as error:
        raise FastrotError(f"it cannot be read: {error.strerror}") from None


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
