"""Colours of h264 and vp9 decoded for training on a CPU, compared with DALI's conversion.

Run: python -m benchmarks.tools.colours

The pictures are those of the real videos of ``fastrot bench`` (extra ``footage``) at 136x136, and generated
ones with smooth, strong colours. DALI decodes no H.264 on a CPU: FFmpeg's accurate conversion takes its place
there, and vp9 shows both. The table is printed as Markdown: mean absolute differences (errors) and mean
differences (biases), in grey levels.
"""

import io
from collections.abc import Callable, Iterator

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from benchmarks.harness.inputs import SIZE, footage
from benchmarks.tools.codec_costs import pictures
from fastrot.report.grid import Grid
from pipelines.loading.clip_decoder import ClipDecoder, brighten
from pipelines.loading.dali_graph import import_dali
from pipelines.prepare.encode import encode
from pipelines.store.codecs import CODECS
from pipelines.store.mp4_tables import find_packets
from pipelines.store.packet_index import PADDING, Packets
from pipelines.store.spool import pieces

Frames = NDArray[np.uint8]
"""Pictures, (N, size, size, 3) uint8 RGB."""

ACCURATE = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)


def smooth_colours(count: int, size: int, seed: int = 0) -> Frames:
    """Return drifting waves in each colour, nearly as strong as a byte allows."""
    random = np.random.default_rng(seed)
    phase, (high, wide) = random.uniform(0, 6, 3), random.uniform(4, 9, (2, 3))
    y, x = (np.indices((size, size)) / size)[..., None]
    waves = [np.sin(high * y + wide * x + phase + 0.2 * t) for t in range(count)]
    return np.rint(127.5 + 110 * np.stack(waves)).astype(np.uint8)


def as_trained(file: bytes, codec: str) -> Frames:
    """Decode all frames as training on a CPU does."""
    found = find_packets(memoryview(file), codec)
    data = np.frombuffer(file + bytes(PADDING), np.uint8)
    packets = Packets(0, data, found.starts.tolist())
    count = len(packets.starts) - 1
    decoder = ClipDecoder(codec, SIZE, count)
    parts = []
    for decoded in decoder.frames(found.header, [packets], range(count)):
        parts.append(np.empty_like(decoded))
        brighten(decoded, parts[-1])
    return np.concatenate(parts)


def by_dali(file: bytes, _: str) -> Frames:
    """Decode all frames with DALI on a CPU."""
    dali = import_dali()
    pipeline = dali.Pipeline(batch_size=1, num_threads=1, device_id=None)
    with pipeline:
        data = dali.fn.external_source(source=lambda: [np.frombuffer(file, np.uint8)], batch=True)
        pipeline.set_outputs(dali.fn.decoders.video(data, device="cpu"))
    pipeline.build()
    (output,) = pipeline.run()
    frames: Frames = np.array(output.as_tensor())[0]
    return frames


def accurately(file: bytes, _: str) -> Frames:
    """Decode all frames with FFmpeg, converted accurately."""
    with av.open(io.BytesIO(file), "r") as container:
        return np.stack(
            [
                frame.to_ndarray(format="rgb24", src_colorspace="ITU601", interpolation=ACCURATE)
                for frame in container.decode(video=0)
            ]
        ).astype(np.uint8, copy=False)


OTHERS: dict[str, dict[str, Callable[[bytes, str], Frames]]] = {
    "vp9": {"DALI": by_dali, "FFmpeg, accurate": accurately},
    "h264": {"FFmpeg, accurate": accurately},
}


def difference(frames: Frames, others: Frames) -> tuple[float, float]:
    """Return the mean absolute difference and the mean difference in grey levels."""
    levels = np.subtract(frames, others, dtype=np.int16)
    return float(np.abs(levels).mean()), float(levels.mean())


def rows(name: str, truth: Frames) -> Iterator[list[str]]:
    """Encode pictures in each codec, and yield a row for each other conversion."""
    for codec, others in OTHERS.items():
        encoded = encode(list(truth), codec, CODECS[codec].quality, 25.0)
        file = b"".join(pieces(encoded.data))
        ours = as_trained(file, codec)
        error, bias = difference(ours, truth)
        for other, decode in others.items():
            frames = decode(file, codec)
            their_error, their_bias = difference(frames, truth)
            between, _ = difference(ours, frames)
            yield [
                f"{codec}, {name}",
                other,
                f"{error:.2f}",
                f"{their_error:.2f}",
                f"{error - their_error:+.2f}",
                f"{bias:+.2f}",
                f"{their_bias:+.2f}",
                f"{between:.2f}",
            ]


def main() -> None:
    """Measure and print the table."""
    clips = {name: np.stack(frames) for name, frames in pictures(footage()).items()}
    clips["smooth, strong colours"] = smooth_colours(96, SIZE)
    header = [
        "pictures",
        "compared with",
        "error, CPU path",
        "error, other",
        "more",
        "bias, CPU path",
        "bias, other",
        "difference of both",
    ]
    found = [row for name, truth in clips.items() for row in rows(name, truth)]
    print(Grid("Colours", header, found).to_markdown())


if __name__ == "__main__":
    main()
