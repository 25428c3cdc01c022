"""Videos without content, statistically equal in all four rotations, for the audit of cheap cues."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipelines.files import replacing, write_file
from pipelines.layouts import Entry, Listing

TEST_SHARE = 1 / 3
BLURS = (
    1.0,
    4.0,
)  # standard deviations in pixels: fine grain to test the codecs, blobs for the network to see


def noise_videos(
    root: Path, *, count: int, frames: int, height: int, width: int, seed: int = 0
) -> Listing:
    """Generate the videos missing below ``root``; a third are in the split "test", the others in "train".

    They are stored losslessly, so that all artefacts come from the prepared store. Each video is half a
    still picture and half new noise in every frame.
    """
    entries = []
    for number in range(count):
        path = root / f"noise_{number:04d}.mkv"
        if not path.exists():
            rng = np.random.default_rng([seed, number])
            _write_lossless(path, noise(rng, frames, height, width))
        split = "test" if number < count * TEST_SHARE else "train"
        entries.append(Entry(path, path.name, splits=(split,)))
    write_file(root / "README.txt", "Noise, for fastrot's audit of cheap cues.\n")
    return Listing(entries)


def noise(rng: np.random.Generator, frames: int, height: int, width: int) -> NDArray[np.uint8]:
    """Return (frames, height, width, 3) uint8: white noise, blurred equally in all directions."""
    still = _grain(rng, (1, height, width, 3))
    moving = _grain(rng, (frames, height, width, 3))
    values = 127.5 + 32 * (still + moving)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _grain(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """Return noise of unit deviation: the average of white noise blurred by each of ``BLURS``, periodic."""
    total = np.zeros(shape)
    for blur in BLURS:
        white = np.fft.fft2(rng.standard_normal(shape), axes=(1, 2))
        y, x = np.fft.fftfreq(shape[1])[:, None], np.fft.fftfreq(shape[2])[None, :]
        soft = np.exp(-2 * (np.pi * blur) ** 2 * (y**2 + x**2))
        values = np.fft.ifft2(white * soft[None, :, :, None], axes=(1, 2)).real
        total += values / values.std()
    scaled: NDArray[np.float64] = total / total.std()
    return scaled


def _write_lossless(path: Path, frames: NDArray[np.uint8]) -> None:
    with (
        replacing(path) as temporary,
        av.open(str(temporary), "w", format="matroska") as container,
    ):
        stream = container.add_stream("ffv1", rate=Fraction(25))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "bgr0"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
