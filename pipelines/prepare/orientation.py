"""Rotates and mirrors frames by the file's display matrix, as players do."""

import math
import struct
from dataclasses import dataclass
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from pipelines.errors import FastrotError

# Like the ffmpeg program, accept angles within one degree of a quarter turn.
_TOLERANCE = math.sin(math.radians(1))


@dataclass(frozen=True)
class Orientation:
    """One of the eight axis-aligned orientations of a picture.

    Rows and columns are swapped first (``transposed``), then columns are mirrored (``left_right``), then rows
    (``upside_down``).
    """

    transposed: bool = False
    left_right: bool = False
    upside_down: bool = False

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a (height, width, 3) picture in this orientation, contiguous in memory."""
        if self.transposed:
            picture = picture.transpose(1, 0, 2)
        if self.left_right:
            picture = picture[:, ::-1]
        if self.upside_down:
            picture = picture[::-1]
        return np.ascontiguousarray(picture)


UPRIGHT = Orientation()


def orientation_of(frame: VideoFrame) -> Orientation:
    """Return the orientation of the frame and those after it, from its display matrix.

    Raises:
        FastrotError: The matrix shears, or rotates by an angle that is not a multiple of 90 degrees.
    """
    data = cast(SideData | None, frame.side_data.get("DISPLAYMATRIX"))
    return UPRIGHT if data is None else orientation_of_matrix(struct.unpack("=9i", bytes(data)))


def orientation_of_matrix(matrix: tuple[int, ...]) -> Orientation:
    """Return the orientation of a display matrix a, b, u, c, d, v, x, y, w (ISO/IEC 14496-12).

    The picture's point (x, y), with y downwards, is shown at (a x + c y, b x + d y). The magnitudes of a, b,
    c and d are ignored, because frames are made square anyway. Like FFmpeg, this ignores a matrix that maps
    an axis to zero.

    Raises:
        FastrotError: The matrix shears, or rotates by an angle that is not a multiple of 90 degrees.
    """
    a, b, _, c, d = matrix[:5]
    first, second = math.hypot(a, c), math.hypot(b, d)
    if first == 0 or second == 0:
        return UPRIGHT
    row, column = (a / first, c / first), (b / second, d / second)
    if max(abs(row[1]), abs(column[0])) < _TOLERANCE:
        return Orientation(left_right=a < 0, upside_down=d < 0)
    if max(abs(row[0]), abs(column[1])) < _TOLERANCE:
        return Orientation(transposed=True, left_right=c < 0, upside_down=b < 0)
    angle = round(math.degrees(math.atan2(b, a)))
    raise FastrotError(
        f"its display matrix rotates it by {angle} degrees or shears it: only multiples of 90 degrees and "
        "mirroring are supported"
    )
