"""One video file in, its frames at the store's size and codec out (section 4.2's preparation), by PyAV."""

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
"""Share of damaged frames from which a video is rejected."""


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
        FastrotError: the file is truncated, has no video, or a tenth of its frames or more are damaged.
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
    """Hand over ``count`` evenly spaced frames (None: all) as size x size RGB, one after another.

    Frame i of the N kept is the video's frame floor(i * F / N). A video with F <= N frames keeps all.
    F is counted, since headers lie: first the packets, and if decoding gives another number, the
    frames. Frames are turned and mirrored as the file's display matrix says, as a player would: left on its
    side, a telephone's video would teach the wrong label.

    Args:
        path: the video.
        count: N.
        size: side of the frames in pixels.
        fit: ``stretch`` (the paper's: the aspect is not kept) or ``crop`` (aspect kept, the centre square).
        consume: takes the frames and their expected rate. It is called again from the start where
            the packets had told another F than the frames.

    Returns:
        What ``consume`` made in its last call, the kept frames' rate, and how many frames of the whole
        video, kept or not, are damaged.

    Raises:
        FastrotError: the video cannot be read, no frame can be decoded, a tenth of them or more are damaged,
            or the display matrix turns them by other than quarter turns.
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
    """Reject a video of ``frames`` frames of which too many are damaged.

    Raises:
        FastrotError: they are a tenth or more.
    """
    if damaged >= MOST_DAMAGED * frames:
        raise FastrotError(
            f"the decoder reported errors in {damaged} of its {frames} frames, and {MOST_DAMAGED:.0%} are "
            "too many: get another copy of the video"
        )


def even_indices(total: int, count: int | None) -> list[int]:
    """Return which of ``total`` frames to keep for ``count`` evenly spaced ones (None: all)."""
    if count is None or total <= count:
        return list(range(total))
    return [i * total // count for i in range(count)]


def _squares(decoder: Decoder, wanted: set[int] | None, squarer: Squarer) -> Iterator[Frame]:
    """Decode to the video's end, and yield the wanted frames, upright and square.

    Raises:
        FastrotError: there is no frame, or too many are damaged.
    """
    orientation = None
    with _reading_errors():
        for frame in decoder.frames():
            # Once a video, as FFmpeg does; and PyAV keeps a frame whose side data was looked at until Python
            # collects its garbage.
            orientation = orientation or orientation_of(frame)
            if wanted is None or decoder.decoded - 1 in wanted:
                square = orientation.apply(squarer.square(frame))
                del frame  # before the next is decoded, see Decoder.frames
                yield square
            else:
                del frame
    if decoder.decoded == 0:
        raise FastrotError("it has no decodable video frame")
    check_damage(decoder.damaged, decoder.decoded + decoder.refused)


@contextlib.contextmanager
def _reading_errors() -> Iterator[None]:
    """Turn what went wrong with the video into a FastrotError."""
    try:
        yield
    except av.FFmpegError as error:
        raise FastrotError(f"FFmpeg cannot decode it: {error.strerror}") from None
    except OSError as error:
        raise FastrotError(f"it cannot be read: {error.strerror}") from None
