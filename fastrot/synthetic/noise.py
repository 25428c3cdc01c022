"""Videos without content, statistically equal in all four rotations, for the audit of cheap cues."""

from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation
from numpy.typing import NDArray

from pipelines.files import replacing, write_file
from pipelines.layouts import Entry, Listing

Look = Literal["plain", "border", "420", "420-equal"]
"""How noise is stored. All but "border" and "420" are equal in all rotations.

- ``plain``: without loss.
- ``border``: without loss; the lowest line is black, as overscan leaves it.
- ``420``: JPEGs whose chroma FFmpeg halves by its default, which leaves it sharper along the rows.
- ``420-equal``: JPEGs whose chroma is halved in the same way along both axes.
"""

TEST_SHARE = 1 / 3
BLUR = 0.5
"""Standard deviation in pixels. Coarser noise would drown the cues, which are in the detail."""

_BEST_QUALITY = "2"
_EQUAL = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INP


def noise_videos(
    root: Path,
    *,
    count: int,
    frames: int,
    height: int,
    width: int,
    seed: int = 0,
    look: Look = "plain",
) -> Listing:
    """Generate the videos missing below ``root``; a third are in the split "test", the others in "train".

    Each video is half a still picture and half new noise in every frame.
    """
    entries = []
    for number in range(count):
        path = root / f"noise_{number:04d}.mkv"
        if not path.exists():
            rng = np.random.default_rng([seed, number])
            _write(path, noise(rng, frames, height, width), look)
        split = "test" if number < count * TEST_SHARE else "train"
        entries.append(Entry(path, path.name, splits=(split,)))
    write_file(root / "README.txt", "Noise, for fastrot's audit of cheap cues.\n")
    return Listing(entries)


def noise(rng: np.random.Generator, frames: int, height: int, width: int) -> NDArray[np.uint8]:
    """Return (frames, height, width, 3) uint8: white noise, blurred equally in all directions."""
    still = _grain(rng, (1, height, width, 3))
    moving = _grain(rng, (frames, height, width, 3))
    values = 127.5 + 32 * (still + moving)
    pixels: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return pixels


def _grain(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """Return periodic white noise, blurred by ``BLUR``, of unit variance."""
    y, x = np.fft.fftfreq(shape[1])[:, None], np.fft.fftfreq(shape[2])
    power = np.exp(-((2 * np.pi * BLUR) ** 2) * (y**2 + x**2))
    power /= power.mean()
    white = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32), axes=(1, 2))
    half = np.sqrt(power)[:, : white.shape[2]]
    values = np.fft.irfft2(white * half[:, :, None], s=shape[1:3], axes=(1, 2))
    grain: NDArray[np.float32] = values.astype(np.float32)
    return grain


def _write(path: Path, frames: NDArray[np.uint8], look: Look) -> None:
    with (
        replacing(path) as temporary,
        av.open(str(temporary), "w", format="matroska") as container,
    ):
        jpeg = look in ("420", "420-equal")
        stream = container.add_stream("mjpeg" if jpeg else "ffv1", rate=Fraction(25))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuvj420p" if jpeg else "bgr0"
        if jpeg:
            stream.options = {"qmin": _BEST_QUALITY, "qmax": _BEST_QUALITY}
            stream.bit_rate = 1_000_000_000  # high enough never to override the quantiser
        if look == "border":
            frames = frames.copy()
            frames[:, -1] = 0
        for image in frames:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if jpeg:
                frame = frame.reformat(
                    format="yuvj420p",
                    dst_color_range=ColorRange.JPEG,
                    interpolation=_EQUAL if look == "420-equal" else None,
                )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
