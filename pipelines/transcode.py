"""One video file in, its frames at the store's size and codec out (section 4.2's preparation), by PyAV."""

import dataclasses
import stat
from dataclasses import dataclass
from pathlib import Path

import av

from pipelines.containers import find_truncation
from pipelines.decoding import Decoder, count_packets
from pipelines.encode import Frame, encode
from pipelines.errors import FastrotError
from pipelines.orientation import orientation_of
from pipelines.squaring import Squarer
from pipelines.store import Settings
from pipelines.store_writer import EncodedVideo

MOST_DAMAGED = 0.1
"""Share of damaged frames from which a video is rejected."""


@dataclass(frozen=True)
class Job:
    """What a worker is handed: a file, and the settings of the store that wants it."""

    path: Path
    settings: Settings


def transcode(job: Job) -> EncodedVideo:
    """Decode a video, keep ``frames`` evenly spaced frames, resize and encode them.

    Raises:
        FastrotError: the file is truncated, has no video, or a tenth of its frames or more are damaged.
    """
    settings = job.settings
    try:
        if not stat.S_ISREG(job.path.stat().st_mode):  # reading a pipe would wait for ever
            raise FastrotError("it is a folder, or another thing that is no file")
        truncated = find_truncation(job.path)
        if truncated:
            raise FastrotError(truncated)
        frames, fps, damaged = read_frames(job.path, settings.frames, settings.size, settings.fit)
    except av.FFmpegError as error:
        raise FastrotError(f"FFmpeg cannot decode it: {error.strerror}") from None
    except OSError as error:
        raise FastrotError(f"it cannot be read: {error.strerror}") from None
    video = encode(frames, settings.codec, settings.quality, fps)
    return dataclasses.replace(video, damaged_frames=damaged)


def read_frames(
    path: Path, count: int | None, size: int, fit: str = "stretch"
) -> tuple[list[Frame], float, int]:
    """Return ``count`` evenly spaced frames (None: all) as size x size RGB, their rate, and the damaged ones.

    Frame i of the N kept is the video's frame floor(i * F / N). A video with F <= N frames keeps all.
    F is counted, since headers lie: first the packets, and if decoding gives another number, the
    frames. Frames are turned and mirrored as the file's display matrix says, as a player would: left on its
    side, a telephone's video would teach the wrong label. ``fit`` is ``stretch`` (the paper's: the aspect
    is not kept) or ``crop`` (aspect kept, the centre square). Damaged frames are counted over the whole
    video, whether kept or not.

    Raises:
        FastrotError: no frame can be decoded, a tenth of them or more are damaged, or the display matrix
            turns them by other than quarter turns.
    """
    total = None if count is None else count_packets(path)
    while True:
        kept, decoder = _decode(path, count, total, size, fit)
        decoded = decoder.decoded
        if decoded == 0:
            raise FastrotError("it has no decodable video frame")
        check_damage(decoder.damaged, decoded + decoder.refused)
        if total is None or count is None or decoded == total:
            return kept, decoder.rate * len(kept) / decoded, decoder.damaged
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


def _decode(
    path: Path, count: int | None, total: int | None, size: int, fit: str
) -> tuple[list[Frame], Decoder]:
    """Return the kept frames, and the decoder that has read the video to its end."""
    wanted = None if total is None else set(even_indices(total, count))
    kept: list[Frame] = []
    with av.open(str(path)) as container:
        decoder = Decoder(container)
        squarer = Squarer(size, fit, decoder.pixel_aspect)
        orientation = None
        for frame in decoder.frames():
            # Once a video, as FFmpeg does; and PyAV keeps a frame whose side data was looked at until Python
            # collects its garbage.
            orientation = orientation or orientation_of(frame)
            if wanted is None or decoder.decoded - 1 in wanted:
                kept.append(orientation.apply(squarer.square(frame)))
            del frame  # before the next is decoded, see there
    return kept, decoder
