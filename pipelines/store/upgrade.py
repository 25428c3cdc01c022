"""Upgrades a store to the current format, without decoding: adds what later formats have next to the shards.

Format 2 added a checksum of each frame (raw, mjpeg), format 3 an index of packets (h264, vp9).
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import FastrotError
from pipelines.files import write_file
from pipelines.store.checksums import crc32
from pipelines.store.json_lines import line_files, read_lines
from pipelines.store.maintenance import VERIFY_FILES, every_part_locked, write_lines
from pipelines.store.manifest import Line
from pipelines.store.packet_index import index_packets
from pipelines.store.reading import FORMAT, Settings, Store
from pipelines.store.shard_files import ShardFiles
from pipelines.store.shard_writing import PACKET, checksums_path, packets_path
from pipelines.store.stored_frames import damaged, packet_starts


def upgrade(store: Store, progress: Callable[[int, int], None] | None = None) -> bool:
    """Upgrade a store's files in place, and return whether it had an older format.

    Every video is read and compared with its checksum first. The settings are written last: if it is killed,
    the store keeps its format, and the upgrade can be run again.

    Raises:
        FastrotError: A video is damaged, or another process writes to the store.
    """
    with every_part_locked(store.path):
        settings = Settings.read(store.path)
        if settings.format == FORMAT:
            return False
        store = Store.open(store.path)  # as it is under the lock
        settings = dataclasses.replace(settings, format=FORMAT)
        headers = _write_tables(store, settings, progress or (lambda _done, _total: None))
        for manifest in line_files(store.path, "manifest"):
            if manifest.exists():
                write_lines(
                    manifest, [_with_header(line, headers) for line in read_lines(manifest)]
                )
        write_file(store.path / "store.json", settings.to_json())
    return True


def _with_header(line: Line, headers: dict[str, bytes]) -> Line:
    header = headers.get(line["name"])
    return {**line, "header": header.hex()} if header else line


def _write_tables(
    store: Store, settings: Settings, progress: Callable[[int, int], None]
) -> dict[str, bytes]:
    """Write the missing file next to each shard, and return the videos' headers by name."""
    if store.settings.frame_checksums:
        return {}
    dtype: np.dtype[Any] = PACKET if settings.packet_index else np.dtype("<u4")
    path_of = packets_path if settings.packet_index else checksums_path
    ends: dict[str, int] = {}  # frames of each shard, with those of superseded videos
    for manifest in line_files(store.path, "manifest"):
        for line in read_lines(manifest):
            end = line["index"] + line["frames"]
            ends[line["shard"]] = max(end, ends.get(line["shard"], 0))
    files, headers, done = ShardFiles(VERIFY_FILES), {}, 0
    progress(done, len(store))
    for number, shard in enumerate(store.shards):
        table = np.zeros(ends[shard], dtype)
        for video in np.flatnonzero(store.shard == number).tolist():
            entries, header = _entries(store, settings, files, video)
            table[store.index[video] :][: len(entries)] = entries
            headers[store.name(video)] = header
            done += 1
            progress(done, len(store))
        write_file(path_of(store.path / "shards" / shard), table.tobytes())
    return headers


def _entries(
    store: Store, settings: Settings, files: ShardFiles, video: int
) -> tuple[NDArray[Any], bytes]:
    """Return a video's part of the new file, one entry per frame, and its header."""
    data = files.read_video(store, video)
    count, offset = int(store.frames[video]), int(store.offset[video])
    if crc32(data.data) != store.crc32[video]:
        raise FastrotError(damaged(store, video, "its bytes do not match their checksum"))
    if settings.packet_index:
        try:
            index, header = index_packets(data.data, store.codec)
        except ValueError as error:
            raise FastrotError(damaged(store, video, str(error))) from None
        if len(index) != count:
            raise FastrotError(
                damaged(store, video, f"it has {len(index)} frames, expected {count}")
            )
        index["start"] += offset
        return index, header
    if store.codec == "raw":
        frames = np.split(data, count)
    else:
        starts = packet_starts(store, files, video, 0, count - 1) - offset
        frames = [data[begin:end] for begin, end in itertools.pairwise(starts.tolist())]
    return np.array([crc32(frame.data) for frame in frames], dtype="<u4"), b""
