"""Create clip loaders from a config and videos (section 4.2)."""

from dataclasses import replace

from fastrot.config import Config, DataConfig
from fastrot.data.selection import Ints
from fastrot.distributed.runtime import Runtime
from pipelines.loading.appearance import Appearance, AppearanceLoader
from pipelines.loading.batches import BatchLoader
from pipelines.loading.jpeg_engine import check_engine
from pipelines.loading.loader import Loader
from pipelines.loading.motion import DifferenceLoader
from pipelines.loading.options import LoaderOptions, default_threads
from pipelines.loading.regions import RegionLaw, RegionPlan
from pipelines.loading.replacement import Tolerance, VideoTolerance
from pipelines.loading.skipping import RingPlan, SkippingLoader
from pipelines.plan import ClipSpec, EvalPlan, Plan, TrainPlan
from pipelines.shares import Share, eval_ranges, train_ranges
from pipelines.store.reading import Store


def clip_spec(data: DataConfig) -> ClipSpec:
    """Return the spec of the clips to read; ``finished`` converts them to the config's clips."""
    if data.camera_motion == "remove":
        return ClipSpec(frames=data.frames + 1, stride=data.stride, crop=data.crop, modality="rgb")
    return ClipSpec(frames=data.frames, stride=data.stride, crop=data.crop, modality=data.modality)


def training_spec(config: Config) -> ClipSpec:
    """Return ``clip_spec`` with the speeds that training draws."""
    return replace(clip_spec(config.data), speeds=tuple(config.rotation.speeds))


def finished(loader: BatchLoader, data: DataConfig) -> BatchLoader:
    """Wrap a loader of ``clip_spec`` clips so that it returns the config's clips."""
    compensate = data.camera_motion == "remove"
    if not compensate and not data.dead_zone:
        return loader
    return DifferenceLoader(loader, compensate=compensate, dead_zone=data.dead_zone)


def options_of(data: DataConfig, runtime: Runtime) -> LoaderOptions:
    """Return the options of a process's loaders."""
    return LoaderOptions(
        threads=data.threads or default_threads(runtime.cores, runtime.device.type),
        prefetch=data.prefetch,
        hw_decoder_load=data.hw_decoder_load,
        check=data.check,
    )


def train_loader(
    config: Config, store: Store, videos: Ints, runtime: Runtime, *, start_step: int, steps: int
) -> BatchLoader:
    """Return this process's micro-batches of the steps after ``start_step`` up to ``steps``.

    Raises:
        UsageError: The batch is not divisible by processes and micro-batches, or the crop is too large.
        FastrotError: The GPU's hardware decoder returns other pixels of an mjpeg store than the CPU.
    """
    data, train = config.data, config.train
    plan: Plan = TrainPlan(store, videos, training_spec(config), seed=config.seed, flip=data.flip)
    if data.scale or data.aspect:
        plan = RegionPlan(plan, store, RegionLaw(data.scale, data.aspect), seed=config.seed)
    if data.hw_decoder_load > 0:
        check_engine(store, videos, runtime.device, data.crop)
    share = Share(runtime.rank, runtime.world, train.accumulate)
    loader = Loader(
        store,
        plan,
        train_ranges(
            batch=train.batch, start_step=start_step, steps=steps - start_step, share=share
        ),
        batch=share.micro_batch(train.batch),
        device=runtime.device,
        options=options_of(data, runtime),
        tolerance=Tolerance(data.broken_share),
    )
    appearance = Appearance(config.seed, data.grey, data.gain, data.polarity)
    clips = finished(loader, data)
    return AppearanceLoader(clips, appearance) if appearance.changes else clips


def eval_loader(
    data: DataConfig,
    store: Store,
    videos: Ints,
    runtime: Runtime,
    *,
    clips_per_video: int,
    batch: int,
    skip: bool,
) -> tuple[BatchLoader, int]:
    """Return this process's share of the videos' uniform clips, and the number of these clips.

    With ``skip``, unreadable clips are skipped, within the limit of ``data.broken_share``, and listed by
    ``take_replaced``. Without it, an unreadable clip is an error.
    """
    plan = EvalPlan(store, videos, clip_spec(data), clips_per_video=clips_per_video)
    ranges = list(
        eval_ranges(total=len(plan), batch=batch, share=Share(runtime.rank, runtime.world))
    )
    tolerance = VideoTolerance(
        data.broken_share, videos=len(videos), clips_per_video=clips_per_video
    )
    loader: BatchLoader = Loader(
        store,
        RingPlan(plan) if skip else plan,
        ranges,
        batch=batch,
        device=runtime.device,
        options=options_of(data, runtime),
        tolerance=tolerance if skip else None,
    )
    if skip:
        loader = SkippingLoader(loader, ranges)
    return finished(loader, data), sum(count for _, count in ranges)
