"""The index of a shard of videos (h264, vp9): where the packet of each frame is, with checksums.

A clip is decoded from the key frame before its first frame. With the index it reads and verifies just these
packets. Stores of formats 1 and 2 have no index: their videos are read whole, and their own tables used.
"""

import itertools
from dataclasses import dataclass
from zlib import crc32  # not ISA-L's: see checksums.py

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import FastrotError
from pipelines.store.mp4_tables import find_packets
from pipelines.store.reading import Store
from pipelines.store.shard_files import Bytes, ShardFiles
from pipelines.store.shard_writing import PACKET, packets_path
from pipelines.store.stored_frames import damaged

PADDING = 64
"""FFmpeg's decoders may read so many bytes beyond a packet's end (AV_INPUT_BUFFER_PADDING_SIZE)."""

_LOOK_BACK = 15
"""Records before a clip's first that are read with them: its key frame is among them in groups of 16."""

Index = NDArray[np.void]
"""Records of ``PACKET``, one per frame."""


@dataclass(frozen=True)
class Packets:
    """The packets of successive frames of one video, of which the first is a key frame.

    Packet i belongs to frame ``first + i`` and is ``data[starts[i]:starts[i + 1]]``. ``PADDING`` readable
    bytes follow the last one.
    """

    first: int
    data: Bytes
    starts: list[int]


def index_packets(file: memoryview, codec: str) -> tuple[Index, bytes]:
    """Return the index of a whole MP4 file, with starts counted from the file's first byte, and its header.

    Raises:
        ValueError: The file's frames cannot be decoded group by group (see ``find_packets``).
    """
    found = find_packets(file, codec)
    index = _records(found.starts, found.keys)
    groups = np.append(found.keys, len(index))
    for begin, end in itertools.pairwise(groups.tolist()):
        crc = 0
        for frame in range(begin, end):
            crc = crc32(file[found.starts[frame] : found.starts[frame + 1]], crc)
            index["crc32"][frame] = crc
    return index, found.header


def _records(starts: NDArray[np.int64], keys: NDArray[np.int64]) -> Index:
    count = len(starts) - 1
    index = np.zeros(count, dtype=PACKET)
    index["start"] = starts[:-1]
    index["bytes"] = np.diff(starts)
    index["key"] = keys[np.searchsorted(keys, np.arange(count), "right") - 1]
    return index


def read_groups(
    store: Store, files: ShardFiles, video: int, numbers: NDArray[np.int64], *, check: bool = True
) -> tuple[list[Packets], bytes, int]:
    """Read what is needed to decode a video's frames ``numbers``, which may be in any order.

    Of each group of pictures that contains one of them, the packets up to the last one are read.

    Returns:
        The packets in order of the frames, the decoder's header, and the number of bytes read.

    Raises:
        FastrotError: The bytes do not match their checksum (with ``check``) or index. The message names the
            video.
    """
    if not store.settings.packet_index:
        return _read_whole(store, files, video, numbers, check=check)
    low, high = int(numbers.min()), int(numbers.max())
    begin = max(0, low - _LOOK_BACK)
    index = read_index(store, files, video, begin, high + 1)
    first = min(int(index["key"][low - begin]), low)
    if first < begin:
        index = np.concatenate([read_index(store, files, video, first, begin), index])
    else:
        index = index[first - begin :]
    groups = _groups(index, first, numbers)
    if not _is_sound(store, video, index, first, groups):
        raise FastrotError(damaged(store, video, "its index of packets is invalid"))
    found = []
    for run in _joined(groups):
        records = index[run[0][0] - first : run[-1][1] + 1 - first]
        found.append(_read_run(store, files, video, run, records, check=check))
    return found, store.header(video), sum(part.starts[-1] for part in found)


def _read_run(
    store: Store,
    files: ShardFiles,
    video: int,
    run: list[tuple[int, int]],
    records: Index,
    *,
    check: bool,
) -> Packets:
    """Read the packets of a run of groups, given the records of its frames, and verify each group."""
    first = run[0][0]
    size = int(records["bytes"].sum(dtype=np.int64))
    place = int(records["start"][0])
    data = files.read(store.shard_path(video), place, size, store.name(video), padding=PADDING)
    starts = [int(start) - place for start in records["start"]] + [size]
    for key, last in run if check else ():
        part = data[starts[key - first] : starts[last + 1 - first]]
        if crc32(part.data) != records["crc32"][last - first]:
            what = f"frames {key} to {last} do not match their checksum"
            raise FastrotError(damaged(store, video, what))
    return Packets(first, data, starts)


def read_index(store: Store, files: ShardFiles, video: int, begin: int, end: int) -> Index:
    """Return the records of a video's frames ``begin`` to ``end - 1``, with starts counted in the shard."""
    path, width = packets_path(store.shard_path(video)), PACKET.itemsize
    place = width * (int(store.index[video]) + begin)
    return files.read(path, place, width * (end - begin), store.name(video)).view(PACKET)


def _read_whole(
    store: Store, files: ShardFiles, video: int, numbers: NDArray[np.int64], *, check: bool
) -> tuple[list[Packets], bytes, int]:
    """Read a video of a store without an index."""
    place, size = int(store.offset[video]), int(store.bytes[video])
    data = files.read(store.shard_path(video), place, size, store.name(video), padding=PADDING)
    if check and crc32(data.data) != store.crc32[video]:
        raise FastrotError(damaged(store, video, "its bytes do not match their checksum"))
    try:
        found = find_packets(data.data, store.codec)
    except ValueError as error:
        raise FastrotError(damaged(store, video, str(error))) from None
    if len(found.starts) - 1 != store.frames[video]:
        what = f"it has {len(found.starts) - 1} frames, expected {store.frames[video]}"
        raise FastrotError(damaged(store, video, what))
    runs = _joined(_groups(_records(found.starts, found.keys), 0, numbers))
    starts = found.starts.tolist()
    return (
        [Packets(run[0][0], data, starts[run[0][0] : run[-1][1] + 2]) for run in runs],
        found.header,
        len(data),
    )


def _groups(index: Index, first: int, numbers: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return (key frame, last needed frame) of each group that has one of the frames ``numbers``."""
    last: dict[int, int] = {}
    for number in np.unique(numbers).tolist():
        last[int(index["key"][number - first])] = number
    return list(last.items())


def _joined(groups: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Join groups without a gap between them into runs, which can be read at once."""
    runs: list[list[tuple[int, int]]] = []
    for group in groups:
        if runs and runs[-1][-1][1] + 1 == group[0]:
            runs[-1].append(group)
        else:
            runs.append([group])
    return runs


def _is_sound(
    store: Store, video: int, index: Index, first: int, groups: list[tuple[int, int]]
) -> bool:
    """Return whether groups of the index are inside the video and without gaps."""
    frames = np.arange(first, first + len(index))
    if (index["key"] > frames).any() or (np.diff(index["key"].astype(np.int64)) < 0).any():
        return False
    if min(key for key, _ in groups) < first:
        return False
    begin, end = int(store.offset[video]), int(store.offset[video] + store.bytes[video])
    starts, sizes = index["start"].astype(np.int64), index["bytes"].astype(np.int64)
    gapless = (starts[1:] == starts[:-1] + sizes[:-1]).all()
    inside = starts[0] >= begin and starts[-1] + sizes[-1] <= end
    return bool(gapless and inside and (sizes > 0).all())
