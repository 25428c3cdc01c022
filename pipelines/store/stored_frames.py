"""The offsets and checksums of a video's frames in its shard."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import FastrotError
from pipelines.store.checksums import crc32
from pipelines.store.reading import Store
from pipelines.store.shard_files import Bytes, ShardFiles
from pipelines.store.shard_writing import checksums_path, offsets_path


def read_packets(
    store: Store, files: ShardFiles, video: int, numbers: NDArray[np.int64], *, check: bool = True
) -> tuple[list[Bytes], int]:
    """Return the JPEGs of an mjpeg video's frames ``numbers``, and the number of bytes read.

    All bytes from the first frame to the last are read at once.

    Raises:
        FastrotError: A frame is not a JPEG, or does not match its checksum. The message names the video.
    """
    first = int(numbers.min())
    starts = packet_starts(store, files, video, first, int(numbers.max()))
    data = files.read(
        store.shard_path(video), int(starts[0]), int(starts[-1] - starts[0]), store.name(video)
    )
    starts -= starts[0]
    packets = [data[starts[number] : starts[number + 1]] for number in numbers - first]
    # DALI 2.4 crashes with a segmentation fault on some data that is not a JPEG.
    if any(packet[:2].tobytes() != b"\xff\xd8" for packet in packets):
        raise FastrotError(damaged(store, video, "a frame is not a JPEG"))
    if check:
        check_frames(store, files, video, numbers, packets)
    return packets, len(data)


def packet_starts(
    store: Store, files: ShardFiles, video: int, first: int, last: int
) -> NDArray[np.int64]:
    """Return the offsets in the shard of the packets of frames first..last, and the end of the last one.

    Raises:
        FastrotError: The offsets are out of order. The message names the video.
    """
    begin, end = int(store.offset[video]), int(store.offset[video] + store.bytes[video])
    known = min(last + 1, int(store.frames[video]) - 1) - first + 1
    starts = np.full(last - first + 2, end, dtype="<u8")
    files.read_into(
        offsets_path(store.shard_path(video)),
        starts[:known].view(np.uint8),
        8 * (int(store.index[video]) + first),
        store.name(video),
    )
    starts = starts.astype(np.int64)
    if starts[0] < begin or starts[-1] > end or (np.diff(starts) <= 0).any():
        raise FastrotError(damaged(store, video, "its frame offsets are out of order"))
    return starts


def check_frames(
    store: Store,
    files: ShardFiles,
    video: int,
    numbers: NDArray[np.int64],
    frames: Sequence[Bytes],
) -> None:
    """Compare the frames ``numbers`` of a video with their checksums, if the store has them.

    Raises:
        FastrotError: A frame does not match its checksum, or the checksum cannot be read. The message names
            the video.
    """
    if not store.settings.frame_checksums:
        return
    first = int(numbers.min())
    written = np.empty(int(numbers.max()) - first + 1, dtype="<u4")
    files.read_into(
        checksums_path(store.shard_path(video)),
        written.view(np.uint8),
        4 * (int(store.index[video]) + first),
        store.name(video),
    )
    for number, frame in zip(numbers.tolist(), frames, strict=True):
        if crc32(frame.data) != written[number - first]:
            raise FastrotError(damaged(store, video, f"frame {number} does not match its checksum"))


def damaged(store: Store, video: int, what: str) -> str:
    """Return the error message for a video whose stored bytes are damaged."""
    return (
        f"video {store.name(video)!r} in {store.shard_path(video)} is damaged: {what} "
        f"(`fastrot store verify {store.path} --fix` lists and removes damaged videos)"
    )
