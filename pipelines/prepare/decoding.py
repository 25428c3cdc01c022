"""A video file's frames: of the stream that players choose, with the decoder's errors counted."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame

from pipelines.errors import FastrotError

# Pictures that come with a film: covers, and thumbnails of its chapters.
_NO_FILM = Disposition.attached_pic | Disposition.timed_thumbnails

# What decoders call errors though every pixel is right: odd metadata in JPEGs, and slips of encoders in
# the bookkeeping of reference frames.
_HARMLESS = ("unable to decode APP fields", "mmco: unref short failure", "exceeds max (")


def video_stream(container: InputContainer) -> av.VideoStream:
    """Return the video stream that players choose: FFmpeg's best one, and never a cover picture.

    Raises:
        FastrotError: there is none.
    """
    films = [stream for stream in container.streams.video if not stream.disposition & _NO_FILM]
    if not films:
        kind = "only a cover picture" if container.streams.video else "no video stream"
        raise FastrotError(f"it has {kind}")
    best = container.streams.best("video")
    return next((stream for stream in films if stream is best), films[0])


def count_packets(path: Path) -> int:
    """Return how many packets the video stream has, without decoding them."""
    with av.open(str(path)) as container:
        stream = video_stream(container)
        return sum(1 for packet in container.demux(stream) if packet.size)


class Decoder:
    """Decodes a file's video stream on one thread; iterate over ``frames()`` once.

    A packet that the decoder refuses costs its own frames, not the video.

    Attributes:
        rate: frames a second, 25 where the file does not say.
        pixel_aspect: a pixel's width by its height, as shown.
        decoded: frames given so far.
        refused: packets that gave an error instead of frames, so far.
    """

    def __init__(self, container: InputContainer):
        self._container = container
        self._stream = video_stream(container)
        self._stream.codec_context.thread_count = 1  # the workers are the parallelism
        self.rate = float(self._stream.average_rate or 25)
        self.pixel_aspect = Fraction(self._stream.sample_aspect_ratio or 1)
        self.decoded = self.refused = 0
        self._bad_packets = self._bad_frames = 0
        self._refusal: av.FFmpegError | None = None

    @property
    def damaged(self) -> int:
        """Frames about which the decoder reported an error so far, and those that it refused.

        A frame may be reported by its packet or, some packets later, by itself; so the larger count counts.
        """
        return max(self._bad_packets, self._bad_frames)

    def frames(self) -> Iterator[VideoFrame]:
        """Yield the frames in the order of showing.

        Whoever drops a frame before asking for the next one lets the decoder use its memory again while it
        is in the cache, which saves a tenth of the time or more at 1280x720.

        Raises:
            av.FFmpegError: the file cannot be read on, or the decoder refused every packet.
        """
        for packet in self._container.demux(self._stream):
            frames = self._decode(packet)[::-1]
            while frames:
                self._bad_frames += frames[-1].is_corrupt
                self.decoded += 1
                yield frames.pop()
        if self._refusal is not None and self.decoded == 0:
            raise self._refusal

    def _decode(self, packet: "av.Packet[av.VideoStream]") -> list[VideoFrame]:
        """Decode one packet, and count it where it is incomplete or the decoder reports an error."""
        refused, frames = False, []
        with _reported_errors() as messages:
            try:
                frames = self._stream.decode(packet)
            except av.FFmpegError as error:
                self._refusal, refused = error, True
                self.refused += 1
        self._bad_packets += refused or packet.is_corrupt or any(map(is_damage, messages))
        return frames


@contextlib.contextmanager
def _reported_errors() -> Iterator[list[tuple[int, str, str]]]:
    """Collect FFmpeg's messages of errors, (level, who, what), from this thread while it is inside."""
    level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # else the same error in the next packet would go unheard
    try:
        with av.logging.Capture() as messages:
            yield messages
    finally:
        av.logging.set_skip_repeated(skips)
        av.logging.set_level(level)


def is_damage(message: tuple[int, str, str]) -> bool:
    """Return whether FFmpeg's message (level, who, what) reports pixels that may be wrong."""
    level, _, text = message
    return level <= av.logging.ERROR and not any(harmless in text for harmless in _HARMLESS)
