"""Videos made on the spot, with content that differs in every frame and pixel, and their truth."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import Interpolation

RESIZE = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)


def write_video(
    path: Path,
    frames: np.ndarray,
    *,
    codec: str = "mpeg4",
    pix_fmt: str = "yuv420p",
    fps: Fraction | int = 25,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encode (T, H, W, 3) uint8 RGB frames at high quality."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", container_options=container_options) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.time_base = 1 / Fraction(fps)
        stream.options = {"qmin": "1", "qmax": "2"} if codec == "mpeg4" else {"crf": "12"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode(None))
    return path


def moving_frames(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return smooth random colour that drifts, (count, height, width, 3) uint8: no two frames alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(20, 235, size=(5, 7, 3))
    y = np.linspace(0, 4, height, endpoint=False)
    x = np.linspace(0, 6, width, endpoint=False)
    frames = []
    for t in range(count):
        yy, xx = (y + 0.11 * t) % 4, (x + 0.17 * t) % 6
        y0, x0 = yy.astype(int), xx.astype(int)
        wy, wx = (yy - y0)[:, None, None], (xx - x0)[None, :, None]
        top = coarse[y0][:, x0] * (1 - wx) + coarse[y0][:, x0 + 1] * wx
        low = coarse[y0 + 1][:, x0] * (1 - wx) + coarse[y0 + 1][:, x0 + 1] * wx
        frames.append(top * (1 - wy) + low * wy)
    return np.rint(np.stack(frames)).astype(np.uint8)


def decode_with_pyav(path: Path, size: int, stream: int = 0) -> np.ndarray:
    """Decode every frame, resized as the store does: the independent truth of the pixel tests.

    Each frame is copied without its tags, so that swscale takes chroma as centred, as FFmpeg's program does.
    """
    with av.open(str(path)) as container:
        decoded = (
            frame.reformat(format="rgb24") if frame.format.is_rgb else frame
            for frame in container.decode(video=stream)
        )
        bare = (
            av.VideoFrame.from_ndarray(frame.to_ndarray(), frame.format.name) for frame in decoded
        )
        return np.stack(
            [
                frame.to_ndarray(format="rgb24", width=size, height=size, interpolation=RESIZE)
                for frame in bare
            ]
        )


def turn_on_its_side(path: Path, clockwise: int) -> None:
    """Write the display matrix that a telephone writes: show the picture turned by ``clockwise``."""
    matrices = {
        90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0),
    }  # fmt: skip
    write_display_matrix(path, *matrices[clockwise])


def write_display_matrix(path: Path, a: float, b: float, c: float, d: float) -> None:
    """Change an MP4's display matrix: its picture's point (x, y) is to be shown at (a x + c y, b x + d y)."""
    a, b, c, d = (round(value * 65536) for value in (a, b, c, d))
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # version, times and ids, reserved, layer..volume
    assert data[at : at + 4] == struct.pack(">i", 65536)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def write_streams(path: Path, *, preview_first: bool, codec: str = "mpeg4") -> Path:
    """Write a film (12 bright frames of 128x96, the default stream) and a dark preview into one file."""
    sizes = [(32, 32, 40), (128, 96, 200)] if preview_first else [(128, 96, 200), (32, 32, 40)]
    with av.open(str(path), "w") as container:
        streams = []
        for width, height, level in sizes:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.disposition = Disposition.default if width == 128 else Disposition(0)
            streams.append((stream, np.full((height, width, 3), level, np.uint8)))
        for stream, picture in streams:
            for _ in range(12):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        for stream, _ in streams:
            container.mux(stream.encode(None))
    return path
