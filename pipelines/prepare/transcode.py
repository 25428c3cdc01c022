"""Transcodes a video file to a store's frame size and codec with PyAV (section 4.2)."""

import contextlib
import dataclasses
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import av

from pipelines.errors import FastrotError
from pipelines.prepare.containers import find_truncation
from pipelines.prepare.decoding import Decoder, count_packets
from pipelines.prepare.encode import Frame, encode
from pipelines.prepare.orientation import orientation_of
from pipelines.prepare.squaring import Squarer
from pipelines.store.reading import Settings
from pipelines.store.shard_writing import EncodedVideo
from pipelines.store.spool import MEMORY_BYTES, Spool

Made = TypeVar("Made")

MOST_DAMAGED = 0.1
"""A video with this share of damaged frames or more is rejected."""


@dataclass(frozen=True)
class Job:
    """A worker's task: a file, and the settings of the store.

    ``spools`` is a folder for temporary files; None keeps everything in memory. ``number`` is the name of the
    job's file there, and ``memory`` is how many bytes of encoded video are kept in memory instead. The
    creator of the job must call ``clean_up`` at the end.
    """

    path: Path
    settings: Settings
    spools: Path | None = None
    number: int = 0
    memory: int = MEMORY_BYTES

    @property
    def spool(self) -> Path | None:
        """The job's temporary file, which is only created for long videos."""
        return None if self.spools is None else self.spools / str(self.number)

    def clean_up(self) -> None:
        """Remove the temporary file, if it exists."""
        if self.spool is not None:
            self.spool.unlink(missing_ok=True)


def transcode(job: Job) -> EncodedVideo:
    """Decode a video, and resize and encode ``settings.frames`` evenly spaced frames.

    Frames are encoded while decoding, so memory use does not depend on the video's length.

    Raises:
        FastrotError: The file is truncated, has no video, or at least 10 % of its frames are damaged.
        SpoolError: The temporary file cannot be written.
    """
    settings = job.settings
    with _reading_errors():
        if not stat.S_ISREG(job.path.stat().st_mode):  # reading a pipe could block forever
            raise FastrotError("not a regular file, but a folder, pipe or device")
        truncated = find_truncation(job.path)
        if truncated:
            raise FastrotError(truncated)

    def encoded(frames: Iterator[Frame], fps: float) -> EncodedVideo:
        spool = Spool(job.spool, job.memory)
        return encode(frames, settings.codec, settings.quality, fps, spool)

    video, fps, damaged = stream_frames(
        job.path, settings.frames, settings.size, settings.fit, encoded
    )
    return dataclasses.replace(video, fps=fps, damaged_frames=damaged)


def stream_frames(
    path: Path,
    count: int | None,
    size: int,
    fit: str,
    consume: Callable[[Iterator[Frame], float], Made],
) -> tuple[Made, float, int]:
    """Pass ``count`` evenly spaced frames (None: all) to ``consume``, as size x size RGB.

    Frame i of the N kept frames is the video's frame floor(i * F / N). A video with F <= N frames keeps all
    of them. F is counted, because headers are unreliable: first the packets, and if decoding gives another
    number, the frames. Frames are rotated and mirrored by the file's display matrix, as in a player.
    Otherwise, videos from a phone held sideways would teach the wrong label.

    Args:
        path: The video.
        count: N.
        size: Side of the frames in pixels.
        fit: ``stretch`` (as in the paper: ignores the aspect ratio) or ``crop`` (keeps it, and takes the
            centre square).
        consume: Receives the frames and their expected rate. It is called again from the start if the number
            of packets differs from the number of frames.

    Returns:
        The result of the last call of ``consume``, the kept frames' rate, and the number of damaged frames in
        the whole video, kept or not.

    Raises:
        FastrotError: The video cannot be read, no frame can be decoded, at least 10 % of the frames are
            damaged, or the display matrix rotates them by an angle that is not a multiple of 90 degrees.
    """
    with _reading_errors():
        total = None if count is None else max(1, count_packets(path))
    while True:
        wanted = None if total is None else set(even_indices(total, count))
        with _reading_errors():
            container = av.open(str(path))
        with container:
            with _reading_errors():
                decoder = Decoder(container)
            fps = decoder.rate if total is None else decoder.rate * len(wanted or ()) / total
            made = consume(_squares(decoder, wanted, Squarer(size, fit, decoder.pixel_aspect)), fps)
        decoded = decoder.decoded
        if total is None or decoded == total:
            kept = decoded if wanted is None else len(wanted)
            return made, decoder.rate * kept / decoded, decoder.damaged
        total = decoded


def check_damage(damaged: int, frames: int) -> None:
    """Reject a video with too many damaged frames.

    Raises:
        FastrotError: At least 10 % of its ``frames`` frames are damaged.
    """
    if damaged >= MOST_DAMAGED * frames:
        raise FastrotError(
            f"the decoder reported errors in {damaged} of {frames} frames, which is "
            f"{MOST_DAMAGED:.0%} or more: get another copy of the video"
        )


def even_indices(total: int, count: int | None) -> list[int]:
    """Return the indices of ``count`` evenly spaced frames among ``total`` (None: all)."""
    if count is None or total <= count:
        return list(range(total))
    return [i * total // count for i in range(count)]


def _squares(decoder: Decoder, wanted: set[int] | None, squarer: Squarer) -> Iterator[Frame]:
    """Decode the whole video, and yield the wanted frames, upright and square.

    Raises:
        FastrotError: No frame can be decoded, or too many are damaged.
    """
    orientation = None
    with _reading_errors():
        for frame in decoder.frames():
            # Once per video, as in FFmpeg: PyAV keeps frames whose side data was accessed until garbage
            # collection.
            orientation = orientation or orientation_of(frame)
            if wanted is None or decoder.decoded - 1 in wanted:
                square = orientation.apply(squarer.square(frame))
                del frame  # before the next frame is decoded, see Decoder.frames
                yield square
            else:
                del frame
    if decoder.decoded == 0:
        raise FastrotError("no decodable video frame")
    check_damage(decoder.damaged, decoder.decoded + decoder.refused)


@contextlib.contextmanager
def _reading_errors() -> Iterator[None]:
    """Convert decoding and reading errors to FastrotError."""
    try:
        yield
    except av.FFmpegError as error:
        raise FastrotError(f"FFmpeg cannot decode the file: {error.strerror}") from None
    except OSError as error:
        raise FastrotError(f"the file cannot be read: {error.strerror}") from None
