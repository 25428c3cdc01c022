"""Scales frames of any shape and pixel format to square RGB pictures, treating both axes equally.

Any difference between the two axes of a stored picture survives a quarter turn, and would reveal the rotation
to a network. So both axes are processed in the same way wherever the source allows it.
"""

from fractions import Fraction

import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from numpy.typing import NDArray

# A triangle filter, which swscale widens with the reduction to prevent aliasing. Without full chroma input,
# swscale drops every other column, but no rows, of RGB sources' chroma.
FLAGS = "bilinear+accurate_rnd+full_chroma_int+full_chroma_inp"

_MAX_LOSS = 16
"""The crop may shrink by 1/16 of a side to better match the aspect ratio in whole pixels."""


class Squarer:
    """Scales frames to ``size`` x ``size`` RGB.

    Like the ffmpeg program, this uses libavfilter's scaler. It treats interlaced frames as whole pictures,
    regardless of their flag (scaling by fields would take every other row from another field), and chroma as
    centred between the luma samples along both axes.

    Args:
        size: Side in pixels.
        fit: ``stretch`` (ignores the aspect ratio) or ``crop`` (keeps it, and takes the centre square).
        pixel_aspect: A pixel's displayed width divided by its height, used for ``crop``.
    """

    def __init__(self, size: int, fit: str, pixel_aspect: Fraction = Fraction(1)):
        self._size = size
        self._crop = fit == "crop"
        self._pixel_aspect = pixel_aspect
        self._kind: tuple[object, ...] = ()
        self._graph = Graph()

    def square(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Return the frame as (size, size, 3) RGB, in its stored orientation."""
        kind = (
            *(frame.width, frame.height, frame.format.name),
            *(int(frame.colorspace), int(frame.color_range)),
        )
        if kind != self._kind:
            self._graph, self._kind = self._build(frame), kind
        self._graph.vpush(frame)
        square: NDArray[np.uint8] = self._graph.vpull().to_ndarray().astype(np.uint8, copy=False)
        return square

    def _build(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        graph.threads = 1  # prepare runs one worker per core
        nodes = [
            graph.add(
                "buffer",
                f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1:"
                f"pixel_aspect=1/1:colorspace={int(frame.colorspace)}:range={int(frame.color_range)}",
            )
        ]
        if self._crop:
            block = max(_chroma_steps(frame.format))
            area = crop_area(frame.width, frame.height, self._pixel_aspect, block)
            nodes.append(graph.add("crop", "{}:{}:{}:{}:exact=1".format(*area)))
        even = _evenly_subsampled(frame.format)
        if even is not None:
            nodes.append(graph.add("scale", "flags=area+accurate_rnd+full_chroma_inp"))
            nodes.append(graph.add("format", even))
        nodes.append(graph.add("scale", f"{self._size}:{self._size}:flags={FLAGS}"))
        nodes.append(graph.add("format", "rgb24"))
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes).configure()
        return graph


def crop_area(
    width: int, height: int, pixel_aspect: Fraction = Fraction(1), block: int = 1
) -> tuple[int, int, int, int]:
    """Return (width, height, x, y) in pixels of the centre area of a frame that is displayed as a square.

    All values are multiples of ``block``, so that subsampled chroma is cropped like luma. If pixels are not
    square, whole numbers seldom give the exact aspect ratio: the best area up to 1/16 smaller than the
    largest is used.
    """
    if min(width, height) < 2 * block:
        block = 1
    top = min(height, int(width * pixel_aspect))
    top = max(block, top - top % block)
    candidates = []
    for tall in range(top, top - max(1, top // _MAX_LOSS), -block):
        wide = max(1, round(tall / pixel_aspect / block)) * block
        if wide <= width:
            candidates.append((abs(wide * pixel_aspect / tall - 1), -tall, wide))
    if not candidates:  # a tiny frame, or an extreme pixel aspect
        return width, height, 0, 0
    _, minus_tall, wide = min(candidates)
    x, y = (width - wide) // 2, (height + minus_tall) // 2
    return wide, -minus_tall, x - x % block, y - y % block


def _chroma_steps(pixels: VideoFormat) -> tuple[int, int]:
    """Return the number of luma samples per chroma sample, along a row and along a column."""
    return 64 // pixels.chroma_width(64), 64 // pixels.chroma_height(64)


def _evenly_subsampled(pixels: VideoFormat) -> str | None:
    """Return a format with chroma subsampled equally along both axes, or None if ``pixels`` already is.

    In 4:2:2, chroma has lost detail along the rows. Averaging two rows, as 4:2:2 averages two columns,
    removes the same detail along the columns.
    """
    across, down = _chroma_steps(pixels)
    if across == down:
        return None
    return "yuv420p" if max(across, down) == 2 else "yuv410p"
