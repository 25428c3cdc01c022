"""Small stores and videos for soak tests: generated drifting colours."""

from pathlib import Path
from unittest import mock

import numpy as np

from pipelines.prepare.encode import Frame, encode
from pipelines.store import writing as store_writer
from pipelines.store.codecs import CODECS
from pipelines.store.reading import Settings
from pipelines.store.spool import pieces
from pipelines.store.writing import writing

FRAMES, SIZE = 24, 40


def drifting(count: int, size: int, seed: int) -> list[Frame]:
    """Return frames of smooth moving colours, each (size, size, 3) uint8."""
    random = np.random.default_rng(seed)
    phase = random.uniform(0, 6, 3)
    y, x = np.indices((size, size))[..., None] / size * random.uniform(3, 9, (2, 1, 1, 1))
    waves = [np.sin(y + x * 0.7 + phase + 0.3 * t) for t in range(count)]
    return [np.rint(127 + 120 * wave).astype(np.uint8) for wave in waves]


def make_store(path: Path, codec: str, videos: int) -> Path:
    """Write a store with two classes and several small shards."""
    settings = Settings(codec, SIZE, FRAMES, "folder", ("a", "b"), quality=CODECS[codec].quality)
    encoded = [
        encode(drifting(FRAMES, SIZE, number), codec, settings.quality, 25.0)
        for number in range(videos)
    ]
    with (
        mock.patch.object(store_writer, "SHARD_BYTES", 5 * encoded[0].size),
        writing(path, settings) as writer,
    ):
        for number, video in enumerate(encoded):
            writer.add(f"v{number:03d}.avi", video, label="ab"[number % 2], splits=("train",))
    return path


def make_films(path: Path, count: int) -> Path:
    """Write VP9 files, which DALI's reader can decode on a CPU."""
    path.mkdir()
    for number in range(count):
        video = encode(drifting(30, 128, number), "vp9", 20, 25.0)
        (path / f"{number}.mp4").write_bytes(b"".join(pieces(video.data)))
    return path
