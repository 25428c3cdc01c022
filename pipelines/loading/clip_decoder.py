"""Decodes clips of encoded videos (h264, vp9) on a CPU with FFmpeg, packet by packet.

No container is opened, and only packets from the key frame before a clip are decoded, by a decoder that each
thread keeps. FFmpeg releases the GIL.
"""

import functools
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import av
import numpy as np
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from pipelines.store.packet_index import Packets
from pipelines.store.shard_files import Bytes

_DECODERS = 16
"""Open decoders per thread. Videos of one frame rate and quality share one."""


class ClipDecoder:
    """Decodes frames of videos of one codec and size, on the calling thread. Not thread-safe.

    Args:
        codec: "h264" or "vp9".
        size: Height and width of every frame in pixels.
    """

    def __init__(self, codec: str, size: int):
        self._size = size
        self._reformatter = VideoReformatter()
        self._context = functools.lru_cache(_DECODERS)(functools.partial(_open, codec))

    def frames(
        self, header: bytes, parts: Sequence[Packets], wanted: Collection[int]
    ) -> Iterator[tuple[int, Bytes]]:
        """Decode each packet of ``parts`` once, and yield the wanted frames in the order of the parts.

        Args:
            header: The decoder's header of the video.
            parts: Packets of one video, from ``read_groups``.
            wanted: The numbers of the frames to yield.

        Yields:
            A frame's number and its RGB pixels, (size, size, 3), valid until the next frame.

        Raises:
            ValueError: A packet cannot be decoded, or not as one frame of ``size``.
        """
        context = self._context(header)
        for part in parts:
            if context.is_open:
                context.flush_buffers()
            for i in range(len(part.starts) - 1):
                number = part.first + i
                picture = _decode(context, part.data[part.starts[i] : part.starts[i + 1]], number)
                if (picture.width, picture.height) != (self._size, self._size):
                    what = f"{picture.width}x{picture.height} pixels, expected {self._size}"
                    raise ValueError(f"frame {number} has {what}")
                if number in wanted:
                    yield number, self._to_rgb(picture)

    def _to_rgb(self, picture: VideoFrame) -> Bytes:
        """Convert limited-range BT.601, whatever the tags are, as DALI's CPU decoder does."""
        rgb = self._reformatter.reformat(
            picture,
            format="rgb24",
            src_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.MPEG,
            threads=1,  # otherwise swscale starts a team of threads, which takes longer than the frame
        )
        plane: Any = rgb.planes[0]  # a buffer, which its annotations do not mention
        rows: Bytes = np.frombuffer(plane, np.uint8).reshape(self._size, plane.line_size)
        return rows[:, : 3 * self._size].reshape(self._size, self._size, 3)


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
        raise ValueError(f"frame {number} cannot be decoded: {error.strerror}") from None
    if len(decoded) != 1:
        what = "its frames are not in the order of its packets (B-frames), or it is damaged"
        raise ValueError(f"the packet of frame {number} gives {len(decoded)} frames: {what}")
    return decoded[0]


def brighten(frames: Bytes) -> None:
    """Add 1 to every value below 255, in place.

    FFmpeg's fast conversion to RGB rounds down at several steps and is darker than the source by one level on
    average. Its accurate one takes several times longer.
    """
    np.add(frames, (frames != 255).view(np.uint8), out=frames)
