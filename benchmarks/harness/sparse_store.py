"""Makes stores without videos: a manifest of any length and sparse shards, which use no disk space."""

import json
import os
from pathlib import Path

from pipelines.files import write_file
from pipelines.store.reading import Settings
from pipelines.store.shard_writing import NPY_HEADER_BYTES, npy_header


def make_sparse_store(
    path: Path, *, videos: int, frames: int = 160, size: int = 136, per_shard: int = 112
) -> Path:
    """Write a raw store of ``videos`` black videos.

    A shard of 112 videos, of 160 frames of 136x136 each, is about 1 GB.
    """
    # Format 1 has no checksums of frames: they would use disk space, unlike the sparse shards.
    settings = Settings(codec="raw", size=size, frames=frames, layout="folder", format=1)
    (path / "shards").mkdir(parents=True)
    write_file(path / "store.json", settings.to_json())
    video_bytes = frames * size * size * 3
    with (path / "manifest.jsonl").open("w") as manifest:
        for first in range(0, videos, per_shard):
            here = min(per_shard, videos - first)
            shard = f"{first // per_shard:05d}.npy"
            with (path / "shards" / shard).open("wb") as file:
                file.write(npy_header((here * frames, size, size, 3)))
                os.truncate(file.fileno(), NPY_HEADER_BYTES + here * video_bytes)
            for i in range(here):
                line = {
                    "name": f"some_action_class/abcdefghijk_{first + i:06d}_000010.mp4",
                    "shard": shard,
                    "offset": NPY_HEADER_BYTES + i * video_bytes,
                    "bytes": video_bytes,
                    "index": i * frames,
                    "frames": frames,
                    "crc32": 0,
                    "fps": 16.0,
                    "label": None,
                    "splits": ["train"],
                }
                manifest.write(json.dumps(line) + "\n")
    return path
