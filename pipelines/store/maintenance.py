"""Store maintenance: verify checksums, drop damaged videos, merge parts, extract a video."""

import contextlib
import difflib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipelines.errors import FastrotError, UnreadableError, UsageError
from pipelines.files import replacing, write_file
from pipelines.store.checksums import crc32
from pipelines.store.codecs import CODECS
from pipelines.store.json_lines import line_files, read_lines
from pipelines.store.manifest import Line, current_lines, rejections
from pipelines.store.packet_index import index_packets, read_index
from pipelines.store.reading import Store
from pipelines.store.shard_files import Bytes, ShardFiles
from pipelines.store.stored_frames import check_frames, packet_starts, read_packets
from pipelines.store.writing import lock

VERIFY_FILES = 8
_REFUSED = (
    "This may be a missing disk rather than damage, so no video is removed: fix the cause. If the file is "
    "lost for good, replace it with an empty file, and --fix removes its videos."
)


def verify(
    store: Store, *, threads: int = 2, progress: Callable[[int, int], None] | None = None
) -> Iterator[tuple[str, str]]:
    """Read every video, and yield (name, reason) of those whose bytes differ from what was written.

    Videos are read in the order of the shards, so that few files are open.

    Raises:
        UnreadableError: The system cannot read a file, whose content may be intact.
    """
    files = ShardFiles(VERIFY_FILES)

    def check(video: int) -> str | None:
        try:
            data = files.read_video(store, video)
            found = crc32(data.data)
            if found != store.crc32[video]:
                return f"its checksum is {found:08x}, expected {int(store.crc32[video]):08x}"
            return _check_frames(store, files, video, data)
        except UnreadableError as error:
            raise UnreadableError(f"{error}. {_REFUSED}", error.errno) from None
        except FastrotError as error:
            return str(error)

    if progress is not None:
        progress(0, len(store))
    order = np.lexsort((store.offset, store.shard)).tolist()
    with ThreadPoolExecutor(threads) as pool:
        for done, (video, reason) in enumerate(zip(order, pool.map(check, order), strict=True), 1):
            if reason is not None:
                yield store.name(video), reason
            if progress is not None:
                progress(done, len(store))


def _check_frames(store: Store, files: ShardFiles, video: int, data: Bytes) -> str | None:
    """Compare an intact video with the files of its frames' offsets and checksums."""
    count = int(store.frames[video])
    if store.settings.packet_index:
        return _check_index(store, files, video, data)
    if store.codec == "raw":
        frames = np.split(data, count)
    elif store.codec == "mjpeg":
        starts = packet_starts(store, files, video, 0, count - 1) - int(store.offset[video])
        places = starts[:-1]
        if places[0] or (data[places] != 0xFF).any() or (data[places + 1] != 0xD8).any():
            return "its frame offsets do not point at JPEGs"
        frames = [data[begin:end] for begin, end in itertools.pairwise(starts.tolist())]
    else:
        return None
    try:
        check_frames(store, files, video, np.arange(count), frames)
    except UnreadableError:
        raise
    except FastrotError as error:
        return f"its frames are intact, but their stored checksums are not: {error}"
    return None


def _check_index(store: Store, files: ShardFiles, video: int, data: Bytes) -> str | None:
    """Compare an intact video with its index of packets."""
    try:
        index, header = index_packets(data.data, store.codec)
        index["start"] += int(store.offset[video])
        found = read_index(store, files, video, 0, int(store.frames[video]))
    except UnreadableError:
        raise
    except (FastrotError, ValueError) as error:
        return str(error)
    if np.array_equal(index, found) and header == store.header(video):
        return None
    return "its bytes are intact, but its index of packets is not"


def drop(store: Store, broken: dict[str, str]) -> None:
    """Remove videos from the manifests, and list them as rejected with their reasons.

    Their bytes stay in the shards. ``prepare --retry-rejected`` prepares them again, and so does a plain
    ``prepare`` if their file has changed.
    """
    with every_part_locked(store.path):
        origins = {line["name"]: line.get("origin") for line in current_lines(store.path)}
        rejected = list(read_lines(store.path / "rejected.jsonl"))
        for name, reason in broken.items():
            origin = origins.get(name)  # None in stores of earlier versions
            line = {"name": name, "reason": reason}
            rejected.append({**line, "origin": origin} if origin else line)
        write_lines(store.path / "rejected.jsonl", rejected)
        for manifest in line_files(store.path, "manifest"):
            if manifest.exists():
                kept = [line for line in read_lines(manifest) if line["name"] not in broken]
                write_lines(manifest, kept)


def write_lines(path: Path, lines: Iterable[Line]) -> None:
    """Replace a JSON-lines file of a store by ``lines``, atomically."""
    write_file(path, "".join(json.dumps(line) + "\n" for line in lines))


def merge(path: Path) -> int:
    """Merge the manifests written by ``prepare --shard i/n`` into one, and return how many were merged.

    Superseded lines are removed, even if there are no parts. The shards do not change and keep the bytes of
    replaced videos. Run it when all parts are complete. If it is killed, it can be run again.

    Raises:
        FastrotError: The folder is not a store, or cannot be written.
    """
    Store.open(path)  # raises if it is not a store, or damaged
    parts = line_files(path, "manifest")[1:]
    with every_part_locked(path):
        rejected = list(itertools.chain.from_iterable(rejections(path).values()))
        try:
            for kind, lines in (("manifest", current_lines(path)), ("rejected", rejected)):
                write_lines(path / f"{kind}.jsonl", lines)
                for part in line_files(path, kind)[1:]:
                    part.unlink()
        except OSError as error:
            raise FastrotError(f"the store {path} cannot be written: {error}") from None
    return len(parts)


@contextlib.contextmanager
def every_part_locked(path: Path) -> Iterator[None]:
    """Lock out all writers of a store while its manifests are rewritten."""
    parts = [file.stem.removeprefix("manifest-") for file in line_files(path, "manifest")[1:]]
    with contextlib.ExitStack() as locks:
        for part in ["", *parts]:
            locks.enter_context(lock(path, part))
        yield


def extract(store: Store, name: str, out: Path) -> Path:
    """Write one video of a store as a playable file, and return its path.

    ``out`` is a folder, or a file's path without the suffix. The suffix is .mp4 for h264 and vp9 and .avi for
    mjpeg, both with the stored packets unchanged, and .mkv with lossless FFV1 for raw.

    Raises:
        UsageError: The store has no such video.
        FastrotError: The video cannot be read or written, or the file already exists.
    """
    video = find(store, name)
    suffix = {"raw": ".mkv", "mjpeg": ".avi"}.get(store.codec, ".mp4")
    target = out / (Path(name).stem + suffix) if out.is_dir() else out.with_name(out.name + suffix)
    if target.exists():
        raise FastrotError(f"{target} already exists: choose another path with --out")
    with replacing(target) as temporary:
        if CODECS[store.codec].video:
            temporary.write_bytes(ShardFiles().read_video(store, video).tobytes())
        elif store.codec == "mjpeg":
            _write_packets(store, video, temporary)
        else:
            _write_lossless(store, video, temporary)
    return target


def find(store: Store, name: str) -> int:
    """Return the index of the video ``name``.

    Raises:
        UsageError: The store has no such video. The message suggests a similar name.
    """
    names = [store.name(i) for i in range(len(store))]
    if name in names:
        return names.index(name)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(
        f"{store.path} has no video {name!r}{hint} (list them with `fastrot store ls`)"
    )


def _write_packets(store: Store, video: int, path: Path) -> None:
    import av

    count = int(store.frames[video])
    packets, _ = read_packets(store, ShardFiles(), video, np.arange(count))
    rate = Fraction(store.fps(video)).limit_denominator(1001)
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=rate)
        stream.width = stream.height = store.size
        stream.pix_fmt = "yuvj444p"
        for number, data in enumerate(packets):
            packet = av.Packet(data.tobytes())
            packet.stream = stream
            packet.pts = packet.dts = number
            packet.time_base = 1 / rate
            packet.is_keyframe = True
            container.mux(packet)


def _write_lossless(store: Store, video: int, path: Path) -> None:
    import av

    frames = ShardFiles().read_video(store, video).reshape(-1, store.size, store.size, 3)
    rate = Fraction(store.fps(video)).limit_denominator(1001)
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.width = stream.height = store.size
        stream.pix_fmt = "bgr0"  # the only 8-bit RGB format of FFV1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode(None))
