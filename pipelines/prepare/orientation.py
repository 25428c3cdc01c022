"""How a player turns and mirrors a video before it shows it: the display matrix, applied to pixels."""

import math
import struct
from dataclasses import dataclass
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from pipelines.errors import FastrotError

# FFmpeg's program, too, takes an angle within a degree of a quarter turn for that quarter turn.
_TOLERANCE = math.sin(math.radians(1))


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to lay a rectangle on its axes.

    Rows and columns change places first (``transposed``), then columns are mirrored (``left_right``),
    then rows (``upside_down``).
    """

    transposed: bool = False
    left_right: bool = False
    upside_down: bool = False

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a (height, width, 3) picture as a player shows it, contiguous in memory."""
        if self.transposed:
            picture = picture.transpose(1, 0, 2)
        if self.left_right:
            picture = picture[:, ::-1]
        if self.upside_down:
            picture = picture[::-1]
        return np.ascontiguousarray(picture)


UPRIGHT = Orientation()


def orientation_of(frame: VideoFrame) -> Orientation:
    """Return how a player shows the frame and those after it, from the display matrix that comes with it.

    Raises:
        FastrotError: the matrix turns by other than quarter turns, or shears.
    """
    data = cast(SideData | None, frame.side_data.get("DISPLAYMATRIX"))
    return UPRIGHT if data is None else orientation_of_matrix(struct.unpack("=9i", bytes(data)))


def orientation_of_matrix(matrix: tuple[int, ...]) -> Orientation:
    """Read the nine numbers a, b, u, c, d, v, x, y, w of a display matrix (ISO/IEC 14496-12).

    The picture's point (x, y), y downwards, is shown at (a x + c y, b x + d y). Sizes of a, b, c and d do
    not matter here: a scaled picture is squared anyway. FFmpeg ignores a matrix that maps an axis to
    nothing, and so does this.

    Raises:
        FastrotError: the matrix turns by other than quarter turns, or shears.
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
        f"its display matrix turns it by {angle} degrees or shears it: only quarter turns and mirrors "
        "can be applied"
    )
