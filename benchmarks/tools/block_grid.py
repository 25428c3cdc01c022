"""Does a codec's grid of blocks reveal which way up a frame of 136 pixels is?

Run: python -m benchmarks.tools.block_grid [VIDEO ...]

The grid of h264 and vp9 begins at the first line, and 136 lines are eight and a half blocks of 16. In a
frame turned by 180 degrees the edges of blocks are therefore where the middles of blocks were. The
contrast of a clip is log(a / b) of the mean absolute differences of neighbouring lines, a at the edges of
blocks and b in their middles. It changes its sign when the clip is turned. So the mean contrast of a clip
and of its turned copy, each encoded and decoded, is the codec's part, without that of the picture.
Without videos, those of ``fastrot bench`` are used (extra ``footage``). The table is printed as Markdown.
"""

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness.inputs import SIZE, footage
from benchmarks.tools.codec_costs import pictures
from fastrot.commands.arguments import Parser
from fastrot.evaluation.intervals import mean_of
from fastrot.report.grid import Grid
from pipelines.errors import FastrotError, UsageError
from pipelines.prepare.encode import encode
from pipelines.store.codecs import CODECS
from pipelines.store.spool import pieces

Frames = NDArray[np.uint8]
"""RGB pictures, (T, size, size, 3) uint8."""

FRAMES = 16
CLIPS = 6
"""Of each video, from its beginning."""

BLOCK = CODECS["h264"].block


def contrast(lines: NDArray[np.float32]) -> float:
    """Return log(a / b) of differences at the edges (a) and in the middles (b) of blocks.

    Args:
        lines: (N, size, M): N pictures of one channel, in which the second axis counts the lines.
    """
    steps = np.abs(np.diff(lines, axis=1)).mean(axis=(0, 2))
    edge = np.arange(1, len(steps) + 1)  # steps[i] lies before line i + 1
    inside = (edge >= 4) & (edge <= len(steps) - 3)  # encoders treat borders differently
    at = [steps[inside & (edge % BLOCK == phase)].mean() for phase in (0, BLOCK // 2)]
    return float(np.log(at[0] / at[1]))


def contrasts(frames: Frames) -> NDArray[np.float64]:
    """Return the contrasts of Y, U and V, each the mean over both axes, (3,)."""
    planes = np.stack([_yuv(frame) for frame in frames]).astype(np.float32)
    return np.array(
        [
            (contrast(channel) + contrast(channel.swapaxes(1, 2))) / 2
            for channel in planes.swapaxes(0, 1)
        ]
    )


def codecs_part(clip: Frames, coded: Callable[[Frames], Frames]) -> NDArray[np.float64]:
    """Return what ``coded`` adds to the contrasts of Y, U and V, (3,)."""
    turned = np.ascontiguousarray(clip[:, ::-1, ::-1])
    return (contrasts(coded(clip)) + contrasts(coded(turned))) / 2


def through(codec: str) -> Callable[[Frames], Frames]:
    """Return a function that encodes a clip as ``prepare`` does by default, and decodes it."""

    def coded(clip: Frames) -> Frames:
        encoded = encode(iter(clip), codec, CODECS[codec].quality, 25.0)
        data = b"".join(map(bytes, pieces(encoded.data)))
        if codec == "raw":
            return np.frombuffer(data, np.uint8).reshape(clip.shape)
        if codec == "mjpeg":
            assert encoded.packet_bytes is not None
            ends = np.cumsum(encoded.packet_bytes)[:-1].tolist()
            jpegs = (data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True))
            return np.stack(
                [np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")) for jpeg in jpegs]
            )
        with av.open(io.BytesIO(data), "r") as container:
            return np.stack(
                [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            )

    return coded


def _yuv(frame: Frames) -> Frames:
    source = av.VideoFrame.from_ndarray(frame, format="rgb24")
    planes = source.reformat(format="yuv444p", dst_colorspace="ITU601").to_ndarray()
    return planes.astype(np.uint8, copy=False)


def table(videos: Sequence[Sequence[Frames]]) -> Grid:
    """Return the codec's part of each codec, the mean over videos and its 95 % t interval."""
    rows = []
    for codec in CODECS:
        coded = through(codec)
        each = np.array(
            [np.mean([codecs_part(clip, coded) for clip in clips], 0) for clips in videos]
        )
        rows.append([codec, *map(_interval, each.T)])
    return Grid("The codec's part of the contrast", ["store", "Y", "U", "V"], rows)


def clips_of(frames: Sequence[Frames]) -> list[Frames]:
    """Return the first clips of a video, as many as there are whole ones up to ``CLIPS``."""
    begins = range(0, len(frames) - FRAMES + 1, FRAMES)[:CLIPS]
    return [np.stack(frames[begin : begin + FRAMES]) for begin in begins]


def _interval(values: NDArray[np.float64]) -> str:
    found = mean_of(values.tolist())
    assert found.half_width is not None, "an interval needs at least two videos"
    return f"{found.mean:+.3f} ± {found.half_width:.3f}"


def main() -> None:
    """Measure and print the table."""
    parser = Parser(
        prog="python -m benchmarks.tools.block_grid", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("videos", nargs="*", type=Path, metavar="VIDEO", help="at least two")
    args = parser.parse_args()
    videos = [clips_of(frames) for frames in pictures(args.videos or footage()).values()]
    if len(videos) < 2 or not all(videos):
        raise UsageError(f"give at least two videos, each of at least {FRAMES} frames")
    print(f"{len(videos)} videos, {sum(map(len, videos))} clips of {FRAMES} frames, {SIZE}x{SIZE}")
    print(table(videos).to_markdown())


if __name__ == "__main__":
    try:
        main()
    except FastrotError as error:
        sys.exit(f"block_grid: error: {error}")
