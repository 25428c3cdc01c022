"""Decodes clips of encoded videos (h264, vp9) on a CPU with FFmpeg, packet by packet.

No container is opened, and only packets from the key frame before a clip are decoded, by a decoder that each
thread keeps. FFmpeg releases the GIL.
"""

import functools
import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import av
import numpy as np
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from pipelines.store.packet_index import Packets
from pipelines.store.shard_files import Bytes

_DECODERS = 16
"""Open decoders per thread. Videos of one frame rate and quality share one."""

_AT_ONCE = 24
"""Maximum number of frames that are converted at once, so that they stay in the CPU's cache."""

_PIXELS = "yuv420p"


class UndecodableError(Exception):
    """A video's packets do not give its frames: they are damaged, or encoded in another way."""


class ClipDecoder:
    """Decodes frames of videos of one codec and size, on the calling thread. Not thread-safe.

    Args:
        codec: "h264" or "vp9".
        size: Height and width of every frame in pixels, an even number.
        most: The number of frames that a clip usually has.
    """

    def __init__(self, codec: str, size: int, most: int):
        self._size = size
        self._at_once = math.ceil(most / math.ceil(most / _AT_ONCE))
        self._stack: _Stack | None = None
        self._reformatter = VideoReformatter()
        self._context = functools.lru_cache(_DECODERS)(functools.partial(_open, codec))

    def frames(
        self, header: bytes, parts: Sequence[Packets], wanted: Collection[int]
    ) -> Iterator[Bytes]:
        """Decode each packet of ``parts`` once, and yield the wanted frames in the order of the parts.

        Args:
            header: The decoder's header of the video.
            parts: Packets of one video, from ``read_groups``.
            wanted: The numbers of the frames to yield.

        Yields:
            RGB pixels of the next frames, (n, size, size, 3), valid until the next ones.

        Raises:
            UndecodableError: A packet cannot be decoded, or not as one frame of ``size`` in 4:2:0.
        """
        stack = self._stack
        if stack is not None:
            stack.count = 0  # an error may have left frames
        for picture in self._pictures(header, parts, wanted):
            planes = picture.planes
            line_bytes = planes[0].line_size
            if stack is None or stack.line_bytes != line_bytes:
                assert stack is None or not stack.count, "FFmpeg's lines changed within a video"
                stack = self._stack = _Stack(self._size, self._at_once, line_bytes)
            stack.add(planes)
            if stack.count == self._at_once:
                yield self._to_rgb(stack)
        if stack is not None and stack.count:
            yield self._to_rgb(stack)

    def _pictures(
        self, header: bytes, parts: Sequence[Packets], wanted: Collection[int]
    ) -> Iterator[VideoFrame]:
        context = self._context(header)
        for part in parts:
            if context.is_open:
                context.flush_buffers()
            for i in range(len(part.starts) - 1):
                number = part.first + i
                picture = _decode(context, part.data[part.starts[i] : part.starts[i + 1]], number)
                if (picture.width, picture.height) != (self._size, self._size):
                    what = f"{picture.width}x{picture.height} pixels, expected {self._size}"
                    raise UndecodableError(f"frame {number} has {what}")
                if picture.format.name != _PIXELS:
                    what = f"{picture.format.name} pixels, expected {_PIXELS}"
                    raise UndecodableError(f"frame {number} has {what}")
                if number in wanted:
                    yield picture

    def _to_rgb(self, stack: "_Stack") -> Bytes:
        """Convert limited-range BT.601, whatever the tags are, as DALI's CPU decoder does."""
        rgb = self._reformatter.reformat(
            stack.picture,
            format="rgb24",
            src_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.MPEG,
            threads=1,  # otherwise swscale starts a team of threads, which takes longer than the frames
        )
        plane: Any = rgb.planes[0]  # a buffer, which its annotations do not mention
        lines: Bytes = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        frames = lines[: stack.count * self._size, : 3 * self._size]
        stack.count = 0
        return frames.reshape(-1, self._size, self._size, 3)


class _Stack:
    """Decoded frames, one above the other in one picture, which one call converts.

    Colours are not interpolated between lines, so frames do not mix. Memory views are copied without handing
    over the GIL, numpy arrays are not.
    """

    def __init__(self, size: int, most: int, line_bytes: int):
        self.line_bytes = line_bytes
        self.count = 0
        lines = math.ceil(most * size / 4) * 4  # PyAV drops lines beyond a multiple of 4
        # Conversion may read a little beyond the end: one line more.
        memory = np.empty((lines * 3 // 2 + 1, line_bytes), dtype=np.uint8)
        self.picture = VideoFrame.from_numpy_buffer(memory[:-1], _PIXELS, width=size)
        luma, chroma = lines * line_bytes, lines * line_bytes // 4
        flat = memory.data.cast("B")
        ends = (0, luma, luma + chroma, luma + 2 * chroma)
        self._planes = [flat[begin:end] for begin, end in itertools.pairwise(ends)]

    def add(self, planes: tuple[VideoPlane, ...]) -> None:
        """Copy the planes of a frame below the others."""
        for plane, into in zip(planes, self._planes, strict=True):
            source = memoryview(plane)
            into[self.count * len(source) : (self.count + 1) * len(source)] = source
        self.count += 1


def _open(codec: str, header: bytes) -> VideoCodecContext:
    context = CodecContext.create(codec, "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1  # clips are decoded in parallel, one per thread
    if header:
        context.extradata = header
    return context


def _decode(context: VideoCodecContext, packet: Any, number: int) -> VideoFrame:
    try:
        decoded = context.decode(av.Packet(packet))
    except av.FFmpegError as error:
        raise UndecodableError(f"frame {number} cannot be decoded: {error.strerror}") from None
    if len(decoded) != 1:
        what = "its frames are not in the order of its packets (B-frames), or it is damaged"
        raise UndecodableError(f"the packet of frame {number} gives {len(decoded)} frames: {what}")
    return decoded[0]


def brighten(frames: Bytes, into: Bytes) -> None:
    """Copy values into an array of the same shape, adding 1 to every value below 255.

    FFmpeg's fast conversion to RGB rounds down at several steps and is darker than the source by one level on
    average. Its accurate one takes several times longer.
    """
    np.add(frames, (frames != 255).view(np.uint8), out=into)
