"""The commands `prepare` and `features`, and a look at clips, as calls for notebooks and scripts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from fastrot.data.prepared import fill_store
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.extract import Features, extract
from pipelines.cores import cores
from pipelines.layouts import read_layout
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions
from pipelines.plan import ClipSpec, TrainPlan, train_ranges
from pipelines.store.codecs import check_quality, check_size
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
    """Transcode a folder of videos into a store and open it; what is there already is kept.

    It starts worker processes: in a script, call it below ``if __name__ == "__main__":``.

    Args:
        source: the videos, or one video.
        out: the store's folder.
        layout: how ``source`` lies: folder, ucf101, hmdb51, kinetics, moments or list.
        lists: the files of the layout list, one for each split, with lines such as "a/b.mp4 swimming".
        codec: raw, mjpeg, h264 or vp9.
        frames: frames to keep of each video, evenly spaced; None: all.
        size: side of the stored square frames in pixels.

    Returns:
        The store. Videos that could not be decoded are told, and left out.

    Raises:
        FastrotError: the source cannot be read, the store cannot be written, or no video is good.
        UsageError: the store exists with other settings, or there is no such codec's size.
    """
    check_size(codec, size)
    listing = read_layout(Path(source), layout, [Path(path) for path in lists])
    settings = Settings(
        codec, size, frames, layout, tuple(listing.classes), check_quality(codec, None)
    )
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
    """Iterate over batches of random clips, as training sees them before they are rotated.

    Args:
        store: where they are from.
        split: which videos.
        frames: T, frames of a clip.
        stride: from one of them to the next.
        crop: H and W in pixels, at most the store's size.
        modality: rgb, or dif for differences of successive frames.
        batch: B, clips in a batch.
        steps: batches.
        seed: decides which clips.
        device: where tensors are wanted; None: the GPU if there is one.

    Returns:
        A context manager and iterator; each batch has ``clips``, (B, T, H, W, 3) uint8 or, for dif,
        int16; ``labels``, (B,) int64, -1 where there are none; and ``videos``, (B,) the store's indices.

    Raises:
        FastrotError: DALI is not installed.
        UsageError: there is no such split, or the crop is bigger than the frames.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    spec = ClipSpec(frames=frames, stride=stride, crop=crop, modality=modality)
    plan = TrainPlan(store, store.select(split), spec, seed=seed)
    ranges = train_ranges(batch=batch, start_step=0, steps=steps)
    options = LoaderOptions(threads=cores())
    return Loader(store, plan, ranges, batch=batch, device=torch.device(device), options=options)


def extract_features(
    checkpoint: Path | str,
    store: Store,
    *,
    split: str = "all",
    block: str = "layer4",
    clips_per_video: int = 10,
    batch: int = 16,
) -> Features:
    """Compute one feature vector a video, the average over its clips.

    Args:
        checkpoint: a run's checkpoint, or any file that ``load_backbone`` reads.
        store: the videos.
        split: which of them.
        block: conv1, layer1, ... layer4.
        clips_per_video: uniform centre clips of each.
        batch: clips at a time.

    Returns:
        ``features`` (videos, channels) float32, ``names``, ``labels``, ``classes`` and ``protocol``.

    Raises:
        FastrotError: the file cannot be read.
        UsageError: there is no such split or block.
    """
    with Runtime.start() as runtime:
        clips = ClipSet(store, split, clips_per_video, batch)
        return extract(Path(checkpoint), clips, runtime, block=block)
