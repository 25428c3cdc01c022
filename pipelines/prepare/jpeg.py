"""Encodes frames as JPEGs with Pillow.

FFmpeg's encoder gives all three components of a 4:4:4 JPEG the sampling factors 1x2. That is valid but
unusual, and a hardware decoder may reject such files or read them wrongly. Pillow's libjpeg writes 1x1.
"""

import io
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

# MPEG-1's default intra matrix (ISO/IEC 11172-2), row by row. FFmpeg's MJPEG tables are multiples of it.
_MPEG1_INTRA = np.array(
    [
        *(8, 16, 19, 22, 26, 27, 29, 34),
        *(16, 16, 22, 24, 27, 29, 34, 37),
        *(19, 22, 26, 27, 29, 34, 34, 38),
        *(22, 22, 26, 27, 29, 34, 37, 40),
        *(22, 26, 27, 29, 32, 35, 40, 48),
        *(26, 27, 29, 32, 35, 40, 48, 58),
        *(26, 27, 29, 34, 38, 46, 56, 69),
        *(27, 29, 35, 38, 46, 56, 69, 83),
    ]
)
_DC_STEP = 8  # FFmpeg's step of a block's mean, for every quality

_MOST_BYTES = 12
"""More than a pixel takes: three coefficients of at most 16 bits of code and 11 of value."""


def quantisation_table(quality: int) -> list[int]:
    """Return the 64 quantisation steps of FFmpeg's MJPEG encoder, row by row.

    Args:
        quality: FFmpeg's quantiser scale (``-q:v``), 1 (best) to 31.
    """
    steps = np.minimum(_MPEG1_INTRA * quality // 8, 255)
    steps[0] = _DC_STEP
    return [int(step) for step in steps]


def encode_jpegs(frames: Iterable[NDArray[np.uint8]], quality: int) -> Iterator[bytes]:
    """Encode RGB frames as JPEGs, one packet per frame.

    Chroma is kept at full resolution (4:4:4): halved differently along x and y, as by FFmpeg's default, it is
    a cue that survives a quarter turn. The colours are full-range BT.601, as JFIF defines them.

    Args:
        frames: Frames of (height, width, 3) uint8.
        quality: FFmpeg's quantiser scale, 1 (best) to 31. It selects FFmpeg's quantisation table.
    """
    from PIL import (  # only where frames are encoded: a GPU's acceptance runs without it
        Image,
        ImageFile,
    )

    table = quantisation_table(quality)
    for frame in frames:
        # With optimised Huffman tables, libjpeg needs room for the whole file. Pillow reserves two bytes
        # per pixel, too few for noise at quality 1, unless this is larger.
        ImageFile.MAXBLOCK = max(ImageFile.MAXBLOCK, _MOST_BYTES * frame.shape[0] * frame.shape[1])
        file = io.BytesIO()
        Image.fromarray(frame).save(
            file, "JPEG", qtables=[table], subsampling="4:4:4", optimize=True
        )
        yield file.getvalue()
