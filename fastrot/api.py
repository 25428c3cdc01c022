"""Functions for notebooks and scripts: prepare videos, iterate over clips, extract features."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from fastrot.config import DataConfig
from fastrot.data.prepared import fill_store
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.extract import Features, extract
from pipelines.cores import cores
from pipelines.layouts import read_layout
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions, default_threads
from pipelines.plan import ClipSpec, TrainPlan
from pipelines.prepare.preparation import choose_quality
from pipelines.shares import train_ranges
from pipelines.store.codecs import check_size
from pipelines.store.reading import Settings, Store


def prepare_videos(
    source: Path | str,
    out: Path | str,
    *,
    layout: str = "folder",
    lists: Sequence[Path | str] = (),
    codec: str = "mjpeg",
    frames: int | None = None,
    size: int = 136,
) -> Store:
    """Transcode a folder of videos into a store and open it. Videos already in the store are kept.

    A new store has its codec's default quality, an existing one keeps its own.

    This starts worker processes: in a script, call it under ``if __name__ == "__main__":``.

    Args:
        source: Folder of videos, or one video.
        out: Folder of the store.
        layout: Layout of ``source``: folder, ucf101, hmdb51, kinetics, moments or list.
        lists: List files for the layout "list", one per split, with lines such as "a/b.mp4 swimming".
        codec: Raw, mjpeg, h264 or vp9.
        frames: Number of evenly spaced frames to keep per video; None keeps all.
        size: Side of the stored square frames in pixels.

    Returns:
        The store. Videos that cannot be decoded are reported and skipped.

    Raises:
        FastrotError: The source cannot be read, the store cannot be written, or no video can be decoded.
        UsageError: The store exists with different settings, or the codec or its size is invalid.
    """
    check_size(codec, size)
    listing = read_layout(Path(source), layout, [Path(path) for path in lists])
    quality = choose_quality(Path(out), codec, None)
    settings = Settings(codec, size, frames, layout, tuple(listing.classes), quality)
    fill_store(listing, Path(out), settings)
    return Store.open(out)


def open_clips(
    store: Store,
    *,
    split: str = "all",
    frames: int = 16,
    stride: int = 1,
    crop: int = 112,
    modality: Literal["rgb", "dif"] = "rgb",
    batch: int = 8,
    steps: int = 1,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> Loader:
    """Iterate over batches of random clips, as training sees them before rotation.

    Args:
        store: Store to read from.
        split: Split to sample from.
        frames: T, frames per clip.
        stride: Distance between consecutive frames of a clip.
        crop: H and W in pixels, at most the store's frame size.
        modality: Rgb, or dif for differences of successive frames.
        batch: B, clips per batch.
        steps: Number of batches.
        seed: Seed that selects the clips.
        device: Device of the tensors; None uses the GPU if available.

    Returns:
        A context manager and iterator. Each batch has ``clips``, (B, T, H, W, 3) uint8 or, for dif,
        int16; ``labels``, (B,) int64, -1 if unlabelled; and ``videos``, (B,) indices into the store.

    Raises:
        FastrotError: DALI is not installed.
        UsageError: The split does not exist, or the crop is larger than the frames.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    spec = ClipSpec(frames=frames, stride=stride, crop=crop, modality=modality)
    plan = TrainPlan(store, store.select(split), spec, seed=seed)
    ranges = train_ranges(batch=batch, start_step=0, steps=steps)
    device = torch.device(device)
    options = LoaderOptions(threads=default_threads(cores(), device.type))
    return Loader(store, plan, ranges, batch=batch, device=device, options=options)


def extract_features(
    checkpoint: Path | str,
    store: Store,
    *,
    split: str = "all",
    block: str = "layer4",
    clips_per_video: int = 10,
    batch: int = 16,
    trained_on: DataConfig | None = None,
) -> Features:
    """Compute one feature vector per video, averaged over its clips.

    Args:
        checkpoint: A run's checkpoint or folder, or any file that ``load_backbone`` reads.
        store: Store to read from.
        split: Split to use.
        block: conv1, layer1, ... layer4.
        clips_per_video: Number of uniform centre clips per video.
        batch: Clips per batch.
        trained_on: The clips that the network was trained on, if the file does not describe them.

    Returns:
        ``features`` (videos, channels) float32, ``names``, ``labels``, ``classes`` and ``protocol``.

    Raises:
        FastrotError: The checkpoint cannot be read.
        UsageError: The split or block does not exist, ``trained_on`` is missing, or it is superfluous.
    """
    with Runtime.start() as runtime:
        clips = ClipSet(store, split, clips_per_video, batch)
        return extract(Path(checkpoint), clips, runtime, block=block, trained_on=trained_on)
