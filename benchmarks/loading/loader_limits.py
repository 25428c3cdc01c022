"""Upper limits for any loader: memory copy, sequential decoding, and disk reads."""

import contextlib
import os
import time
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.harness.measure import NotHere
from pipelines.loading.dali_graph import import_dali
from pipelines.plan import ClipSpec
from pipelines.store.reading import Store
from pipelines.store.shard_files import ShardFiles
from pipelines.store.stored_frames import read_packets

RING_BYTES = 512 << 20  # source and target each exceed the CPU caches
AT_ONCE = 16  # at most this many copies of each video per batch: a decoded video may take 20 MB


def copy_clips(spec: ClipSpec, batch: int, threads: int, seconds: float) -> dict[str, float]:
    """Copy only the clips' bytes from memory to memory, one batch at a time."""
    clip_bytes = spec.frames * spec.crop**2 * 3
    batches = max(2, RING_BYTES // 2 // (batch * clip_bytes))
    source = np.ones((batches, batch, clip_bytes), dtype=np.uint8)
    target = np.ones_like(source)  # touch every page now, so that no page faults are timed
    copied = 0
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            at = (copied // batch) % batches
            into, out_of = target[at], source[(at * 7 + 3) % batches]
            list(
                pool.map(np.copyto, np.array_split(into, threads), np.array_split(out_of, threads))
            )
            copied += batch
        rate = copied / (time.perf_counter() - began)
    return {"clips_per_s": rate, "mb_per_s": rate * clip_bytes / 1e6}


def decode_sequentially(
    store: Store, files: Mapping[int, Path], frames: int, threads: int, seconds: float
) -> dict[str, float]:
    """Decode whole videos from the first frame, without seeking or disk reads (the bytes are in memory).

    Uses DALI if it can decode the codec on this machine, otherwise PyAV with one thread per video. The
    rate is in clips of ``frames`` frames. All of ``files`` (keyed by store index) are decoded.

    Raises:
        NotHere: The store's frames are not encoded.
    """
    if store.codec == "raw":
        raise NotHere("raw frames need no decoding")
    decoders = {"mjpeg": _decode_jpegs, "vp9": _decode_videos}
    decode = decoders.get(store.codec, _decode_with_pyav)
    done = 0
    with contextlib.closing(decode(store, files, threads)) as decoded:
        next(decoded)  # building the pipeline includes the first batch
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            done += next(decoded)
        rate = done / (time.perf_counter() - began)
    return {"clips_per_s": rate / frames, "frames_per_s": rate}


def _decode_jpegs(
    store: Store, files: Mapping[int, Path], threads: int
) -> Generator[int, None, None]:
    packets: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []
    for video in files:
        count = int(store.frames[video])
        packets += read_packets(store, ShardFiles(), video, np.arange(count))[0]
    batches = [packets[at : at + 256] for at in range(0, len(packets), 256)]
    yield from _endless(batches, threads, "image")


def _decode_videos(_: Store, files: Mapping[int, Path], threads: int) -> Generator[int, None, None]:
    data = [np.fromfile(file, dtype=np.uint8) for file in files.values()]
    # Repeat the videos once per thread, so that every thread has the same amount of work.
    yield from _endless([data * min(threads, AT_ONCE)], threads, "video")


def _endless(
    batches: list[list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]], threads: int, kind: str
) -> Generator[int, None, None]:
    dali = import_dali()
    fed = iter(range(1 << 62))
    pipeline = dali.Pipeline(
        batch_size=max(map(len, batches)), num_threads=threads, device_id=None, exec_dynamic=True
    )
    with pipeline:
        data = dali.fn.external_source(
            source=lambda: batches[next(fed) % len(batches)], batch=True, no_copy=True
        )
        decode = dali.fn.decoders.image if kind == "image" else dali.fn.decoders.video
        pipeline.set_outputs(decode(data, device="cpu"))
    pipeline.build()
    try:
        while True:
            (output,) = pipeline.run()
            shapes = output.shape()
            yield len(shapes) if kind == "image" else sum(shape[0] for shape in shapes)
    finally:
        del pipeline  # must go before `batches`, which its threads may still be reading


def _decode_with_pyav(
    _: Store, files: Mapping[int, Path], threads: int
) -> Generator[int, None, None]:
    import av

    def decode(path: Path) -> int:
        with av.open(str(path)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            return sum(
                1 for frame in container.decode(video=0) if frame.to_ndarray(format="rgb24").size
            )

    with ThreadPoolExecutor(threads) as pool:
        while True:
            yield sum(pool.map(decode, list(files.values()) * threads))


def read_from_end_to_end(store: Store, *, cold: bool) -> dict[str, float]:
    """Read every shard on one thread: cold (dropped from the page cache) or warm (a second read)."""
    if cold:
        drop_from_cache(store)
    else:
        read_through(store)
    return read_through(store)


def drop_from_cache(store: Store) -> None:
    """Drop the shards from the page cache; this needs no privileges."""
    for path in (store.path / "shards").iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def read_through(store: Store, at_most: int = 4 << 30) -> dict[str, float]:
    """Read up to ``at_most`` bytes of the shards in order and return MB/s."""
    buffer = bytearray(1 << 22)
    total = 0
    began = time.perf_counter()
    for path in sorted((store.path / "shards").iterdir()):
        with path.open("rb", buffering=0) as file:
            while total < at_most and (got := file.readinto(buffer)):
                total += got
    seconds = time.perf_counter() - began
    return {"mb_per_s": total / seconds / 1e6}
