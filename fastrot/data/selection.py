"""From a config to clips: which videos (section 4.7), what a clip looks like, and the loaders."""

import zlib

import numpy as np
from numpy.typing import NDArray

from fastrot.config import Config, DataConfig
from fastrot.distributed.runtime import Runtime
from pipelines.errors import UsageError
from pipelines.loading.loader import BatchLoader, Loader
from pipelines.loading.motion import DifferenceLoader
from pipelines.loading.replacement import VideoTolerance
from pipelines.loading.skipping import RingPlan, SkippingLoader
from pipelines.plan import ClipSpec, TestPlan, TrainPlan, test_ranges, train_ranges
from pipelines.store.reading import Store

Ints = NDArray[np.int64]


def clip_spec(data: DataConfig) -> ClipSpec:
    """Return what a store's clips look like; `finished` makes the config's clips of them."""
    if data.camera_motion == "remove":
        return ClipSpec(frames=data.frames + 1, stride=data.stride, crop=data.crop, modality="rgb")
    return ClipSpec(frames=data.frames, stride=data.stride, crop=data.crop, modality=data.modality)


def finished(loader: BatchLoader, data: DataConfig) -> BatchLoader:
    """Return a loader of the config's clips, given one of clips as `clip_spec` says."""
    compensate = data.camera_motion == "remove"
    if not compensate and not data.dead_zone:
        return loader
    return DifferenceLoader(loader, compensate=compensate, dead_zone=data.dead_zone)


def select_videos(store: Store, split: str, *, labelled: bool, shots: int, seed: int) -> Ints:
    """Return the store's indices of a split's videos, or of ``shots`` of each class.

    Raises:
        UsageError: no such split, an unlabelled video where labels are needed, too few in a class.
    """
    videos = store.select(split)
    if len(videos) == 0:
        raise UsageError(f"{store.path}: the split {split!r} has no videos")
    without = videos[store.labels[videos] < 0]
    if (labelled or shots) and len(without):
        raise UsageError(
            f"{store.path}: {len(without)} videos of the split {split!r} have no action label, "
            f"such as {store.name(int(without[0]))}"
        )
    return few_shot(store, videos, shots, seed) if shots else videos


def few_shot(store: Store, videos: Ints, shots: int, seed: int) -> Ints:
    """Return ``shots`` of each class's videos, in the store's order (section 4.7).

    The draw orders each class once by the seed and takes the first ones, so that a smaller number of
    shots is a subset of a larger one.

    Raises:
        UsageError: a class has fewer.
    """
    labels = store.labels[videos]
    chosen = []
    for label in np.unique(labels):
        mine = videos[labels == label]
        if len(mine) < shots:
            raise UsageError(
                f"data.shots is {shots}, but class {store.classes[label]} has {len(mine)} videos "
                "in the split"
            )
        order = np.random.default_rng([seed, int(label)]).permutation(len(mine))
        chosen.append(mine[order[:shots]])
    return np.sort(np.concatenate(chosen))


def subset(store: Store, videos: Ints, count: int, seed: int) -> Ints:
    """Return ``count`` of the videos, in the store's order (section 4.7).

    The draw orders them once by the seed and takes the first ones, so that a smaller number is a subset
    of a larger one.

    Raises:
        UsageError: there are fewer.
    """
    if len(videos) < count:
        raise UsageError(
            f"data.videos is {count}, but the split of {store.path} has {len(videos)} videos"
        )
    order = np.random.default_rng([seed, len(videos)]).permutation(len(videos))
    return np.sort(videos[order[:count]])


def digest(store: Store, videos: Ints) -> int:
    """Return a checksum of the chosen videos' names, bytes and labels: what a resumed run must find again."""
    text = "\n".join(store.name(int(i)) for i in videos)
    text += f"\n{store.codec} {store.size} {store.classes}"
    content = np.stack([store.frames[videos], store.crc32[videos], store.labels[videos]])
    return zlib.crc32(
        content.astype("<i8").tobytes(), zlib.crc32(text.encode(errors="surrogatepass"))
    )


def short_clips(store: Store, videos: Ints, spec: ClipSpec) -> str:
    """Return how clips are filled that are longer than their video; "" where no video is so short."""
    return "reflect" if (store.frames[videos] < spec.span).any() else ""


def train_loader(
    config: Config, store: Store, videos: Ints, runtime: Runtime, *, start_step: int, steps: int
) -> BatchLoader:
    """Return this process's micro-batches of the steps after ``start_step`` up to ``steps``.

    Raises:
        UsageError: the batch does not divide among processes and micro-batches, or the crop is too big.
    """
    data, train = config.data, config.train
    loader = Loader(
        store,
        TrainPlan(store, videos, clip_spec(data), seed=config.seed, flip=data.flip),
        train_ranges(
            batch=train.batch,
            start_step=start_step,
            steps=steps - start_step,
            rank=runtime.rank,
            world=runtime.world,
            accumulate=train.accumulate,
        ),
        batch=max(1, train.batch // (runtime.world * train.accumulate)),
        device=runtime.device,
        threads=data.threads or runtime.cores,
        prefetch=data.prefetch,
        hw_decoder_load=data.hw_decoder_load,
        broken_share=data.broken_share,
        check=data.check,
    )
    return finished(loader, data)


def test_loader(
    data: DataConfig,
    store: Store,
    videos: Ints,
    runtime: Runtime,
    *,
    clips_per_video: int,
    batch: int,
    skip: bool,
) -> tuple[BatchLoader, int]:
    """Return this process's share of the videos' uniform clips, and how many clips these are.

    With ``skip`` clips that cannot be read are left out, as far as ``data.broken_share`` tolerates it, and
    listed by ``take_replaced``; otherwise one is an error.
    """
    plan = TestPlan(store, videos, clip_spec(data), clips_per_video=clips_per_video)
    ranges = list(test_ranges(total=len(plan), batch=batch, rank=runtime.rank, world=runtime.world))
    loader = Loader(
        store,
        RingPlan(plan) if skip else plan,
        ranges,
        batch=batch,
        device=runtime.device,
        threads=data.threads or runtime.cores,
        prefetch=data.prefetch,
        hw_decoder_load=data.hw_decoder_load,
        tolerance=_tolerance(data, videos, clips_per_video) if skip else None,
        check=data.check,
    )
    given = SkippingLoader(loader, ranges) if skip else loader
    return finished(given, data), sum(count for _, count in ranges)


def _tolerance(data: DataConfig, videos: Ints, clips_per_video: int) -> VideoTolerance:
    return VideoTolerance(data.broken_share, videos=len(videos), clips_per_video=clips_per_video)
