"""One video file in, its frames at the store's size and codec out (section 4.2's preparation), by PyAV."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from pipelines.containers import find_truncation
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
    truncated = find_truncation(job.path)
    if truncated:
        raise FastrotError(truncated)
    try:
        frames, fps = read_frames(job.path, settings.frames, settings.size)
    except av.FFmpegError as error:
        raise FastrotError(f"FFmpeg cannot decode it: {error.strerror}") from None
    if settings.codec == "raw":
        data = b"".join(frame.to_ndarray().tobytes() for frame in frames)
        return EncodedVideo(data, len(frames), fps)
    packets = encode_jpegs(frames, settings.quality)
    sizes = np.array([len(packet) for packet in packets], dtype=np.int64)
    return EncodedVideo(b"".join(packets), len(packets), fps, sizes)


def read_frames(path: Path, count: int | None, size: int) -> tuple[list[VideoFrame], float]:
    """Return ``count`` evenly spaced frames (None: all) as size x size RGB, and the kept frames' rate.

    Frame i of the N kept is the video's frame floor(i * F / N). A video with F <= N frames keeps all.
    F is counted, since headers lie: first the packets, and if decoding gives another number, the
    frames.
    """
    total = None if count is None else _count_packets(path)
    while True:
        kept, decoded, rate = _decode(path, count, total, size)
        if decoded == 0:
            raise FastrotError("it has no decodable video frame")
        if total is None or count is None or decoded == total:
            return kept, rate * len(kept) / decoded
        total = decoded


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
    path: Path, count: int | None, total: int | None, size: int
) -> tuple[list[VideoFrame], int, float]:
    """Return the kept frames, how many were decoded, and the video's frame rate (25 where unknown)."""
    wanted = None if total is None else set(even_indices(total, count))
    reformatter = VideoReformatter()
    kept: list[VideoFrame] = []
    decoded = 0
    with av.open(str(path)) as container:
        stream = _video_stream(container)
        stream.codec_context.thread_count = 1  # the workers are the parallelism
        for frame in container.decode(stream):
            if wanted is None or decoded in wanted:
                kept.append(
                    reformatter.reformat(
                        frame, size, size, "rgb24", interpolation=RESIZE, threads=1
                    )
                )
            decoded += 1
        rate = float(stream.average_rate or 25)
    return kept, decoded, rate


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    if not container.streams.video:
        raise FastrotError("it has no video stream")
    return container.streams.video[0]


def encode_jpegs(frames: list[VideoFrame], quality: int) -> list[bytes]:
    """Encode RGB frames as JPEGs, one packet a frame. ``quality`` is FFmpeg's scale: 2 best, 31 worst.

    Chroma is kept at full resolution (4:4:4): sub-sampled chroma is sited differently along x and y, a
    cue that survives a quarter turn. It costs about a fifth more bytes, and decodes no slower.
    """
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = frames[0].width, frames[0].height
    encoder.pix_fmt = "yuv444p"
    encoder.color_range = ColorRange.JPEG
    encoder.time_base = Fraction(1, 25)
    encoder.bit_rate = 1_000_000_000  # never the limit: the fixed quantiser decides
    encoder.options = {"qmin": str(quality), "qmax": str(quality)}
    encoder.thread_count = 1
    return [bytes(packet) for packet in _encode(encoder, frames)]


def _encode(
    encoder: av.VideoCodecContext, frames: list[VideoFrame]
) -> "Iterator[av.Packet[av.VideoStream]]":
    reformatter = VideoReformatter()
    for number, frame in enumerate(frames):
        planar = reformatter.reformat(
            frame,
            format=encoder.pix_fmt,
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        planar.pts, planar.time_base = number, encoder.time_base
        yield from encoder.encode(planar)
    yield from encoder.encode(None)
