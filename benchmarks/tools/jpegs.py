"""Bytes, error and CPU time of a store's JPEGs, compared with those of FFmpeg's encoder.

Run: python -m benchmarks.tools.jpegs VIDEOS

Every frame of every video is stretched to 136x136 and encoded by both, with the same quantisation table.
PSNR is over RGB, after decoding by libjpeg. CPU time is the median of interleaved repeats. The last line is
of all frames together.
"""

import io
import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from fastrot.commands.arguments import Parser
from pipelines.layouts import read_layout
from pipelines.prepare.jpeg import encode_jpegs
from pipelines.prepare.transcode import stream_frames
from pipelines.store.codecs import CODECS

SIZE = 136

Frames = NDArray[np.uint8]
"""Pictures of one size, (N, height, width, 3), RGB."""


def ffmpeg_jpegs(frames: Frames, quality: int) -> Iterator[bytes]:
    """Encode frames as FFmpeg does, in 4:4:4 with sampling factors 1x2: the encoder of earlier stores."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.height, encoder.width = frames.shape[1:3]
    encoder.pix_fmt = "yuv444p"
    encoder.color_range = ColorRange.JPEG
    encoder.time_base = Fraction(1, 25)
    encoder.bit_rate = 1_000_000_000  # high enough never to override the fixed quantiser
    encoder.options = {"qmin": str(quality), "qmax": str(quality)}
    encoder.thread_count = 1
    for frame in chain(ffmpeg_planes(frames), [None]):
        yield from map(bytes, encoder.encode(frame))


def ffmpeg_planes(frames: Frames) -> Iterator[av.VideoFrame]:
    """Convert frames to full-range BT.601 in 4:4:4 as FFmpeg does by default."""
    reformatter = VideoReformatter()
    for number, frame in enumerate(frames):
        planar = reformatter.reformat(
            av.VideoFrame.from_ndarray(frame, "rgb24"),
            format="yuv444p",
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        planar.pts, planar.time_base = number, Fraction(1, 25)
        yield planar


def decoded(jpegs: Iterable[bytes]) -> Frames:
    """Decode JPEGs of one size with libjpeg, as RGB."""
    return np.stack([np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")) for jpeg in jpegs])


def psnr(frames: Frames, others: Frames) -> float:
    """Return the peak signal-to-noise ratio in dB over all pixels and colours."""
    squares = np.square(np.subtract(frames, others, dtype=np.float32)).mean(dtype=np.float64)
    return float(10 * np.log10(255**2 / squares))


ENCODERS: dict[str, Callable[[Frames, int], Iterator[bytes]]] = {
    "prepare": encode_jpegs,
    "ffmpeg": ffmpeg_jpegs,
}


def measure(frames: Frames, quality: int, repeats: int) -> dict[str, float]:
    """Return kB per frame, PSNR in dB and CPU milliseconds per frame of each encoder."""
    jpegs: dict[str, list[bytes]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in ENCODERS}
    for _ in range(repeats):
        for name, encode in ENCODERS.items():
            began = time.process_time()
            jpegs[name] = list(encode(frames, quality))
            seconds[name].append(time.process_time() - began)
    found = {}
    for name in ENCODERS:
        found[f"{name}_kb"] = round(sum(map(len, jpegs[name])) / len(frames) / 1e3, 2)
        found[f"{name}_psnr"] = round(psnr(frames, decoded(jpegs[name])), 2)
        found[f"{name}_ms"] = round(1e3 * statistics.median(seconds[name]) / len(frames), 3)
    sizes = {name: sum(map(len, jpegs[name])) for name in ENCODERS}
    return {**found, "bytes_ratio": round(sizes["prepare"] / sizes["ffmpeg"], 3)}


def main() -> None:
    """Measure and print the figures."""
    parser = Parser(prog="python -m benchmarks.tools.jpegs", description="Measure JPEGs.")
    parser.add_argument("videos", type=Path, metavar="VIDEOS", help="folder of videos")
    parser.add_argument("--quality", type=int, default=CODECS["mjpeg"].quality, help="1 to 31")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each encoder")
    args = parser.parse_args()
    clips = {
        entry.path.name: stream_frames(
            entry.path, None, SIZE, "stretch", lambda frames, _: np.stack(list(frames))
        )[0]
        for entry in read_layout(args.videos, "folder").entries
    }
    clips["all"] = np.concatenate(list(clips.values()))
    for name, frames in clips.items():
        found = measure(frames, args.quality, args.repeats)
        print(json.dumps({"video": name, "frames": len(frames), **found}), flush=True)


if __name__ == "__main__":
    main()
