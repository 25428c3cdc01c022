"""Frozen features of videos, block by block, of a trained network and of the same one untrained."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from fastrot.data.selection import Ints, select_videos
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet, Reading
from fastrot.evaluation.protocol import Protocol
from fastrot.evaluation.trained import Trained, evaluating
from fastrot.evaluation.unreadable import Skipped, merged
from pipelines.errors import UsageError

BLOCKS = ("conv1", "layer1", "layer2", "layer3", "layer4")
WIDTHS = (1, 1, 2, 4, 8)  # channels of each block, in the network's width


def block_index(block: str) -> int:
    """Return the place of a block among ``BLOCKS``.

    Raises:
        UsageError: there is no such block.
    """
    if block not in BLOCKS:
        raise UsageError(f"there is no block {block!r}: the blocks are {', '.join(BLOCKS)}")
    return BLOCKS.index(block)


@dataclass(frozen=True)
class BlockFeatures:
    """Features of the videos that can be read.

    Attributes:
        blocks: five (N, channels) float32 tensors on the CPU.
        videos: the rows' N indices in the store, ascending int64.
        labels: (N,) int64, -1 where a video has none.
        protocol: how they were measured.
        skipped: the videos that cannot be read.
    """

    blocks: Sequence[Tensor]
    videos: Ints
    labels: Tensor
    protocol: Protocol
    skipped: list[Skipped]


def block_features(
    trained: Trained, clips: ClipSet, runtime: Runtime, *, labelled: bool = False, shots: int = 0
) -> BlockFeatures:
    """Return each block's activations, averaged over space, time and a video's clips.

    The clips are not rotated, BatchNorm is in eval mode. Every process gets all rows.

    Raises:
        UsageError: the store lacks the split or a label, or a class has too few videos.
        FastrotError: more videos cannot be read than data.broken_share tolerates.
    """
    reading = Reading(trained, clips, runtime, labelled=labelled, shots=shots)
    widths = [trained.config.model.width * factor for factor in WIDTHS]
    sums = reading.zeros(sum(widths))
    with evaluating(trained.network):
        for rows, loaded in reading.batches("extract features"):
            inputs = trained.task.upright(loaded, runtime.dtype)
            with runtime.autocast():
                outputs = trained.network.stages(inputs)
            means = [block.float().mean(dim=(2, 3, 4)) for block in outputs]
            sums.index_add_(0, rows, torch.cat(means, dim=1))
    totals = reading.finish(sums)
    return BlockFeatures(
        blocks=torch.split(totals.sums / clips.per_video, widths, dim=1),
        videos=totals.videos,
        labels=torch.from_numpy(clips.store.labels[totals.videos]),
        protocol=replace(totals.protocol, weights="frozen features"),
        skipped=totals.skipped,
    )


@dataclass(frozen=True)
class Comparison:
    """Labelled features of two splits by a frozen network, and by the same network untrained.

    Attributes:
        trained: those of the training and of the test split.
        random: the same of the untrained network.
        skipped: the videos that any of the readings could not read.
    """

    trained: tuple[BlockFeatures, BlockFeatures]
    random: tuple[BlockFeatures, BlockFeatures]
    skipped: list[Skipped]


def compare_features(
    trained: Trained, clips: ClipSet, train_split: str, runtime: Runtime, *, shots: int = 0
) -> Comparison:
    """Return the features of two splits, of a network and of the same one untrained.

    Args:
        trained: a network of any task.
        clips: those of the test split.
        train_split: the other split of the same store, read likewise.
        runtime: the processes share the extraction.
        shots: training videos of each class; 0 for all.

    Raises:
        UsageError: the store lacks a split or a label, or a class has too few videos.
        FastrotError: more videos cannot be read than data.broken_share tolerates.
    """
    train = replace(clips, split=train_split)
    # A test split that does not fit is refused before the training split has been read.
    select_videos(clips.store, clips.split, labelled=True, shots=0, seed=0)

    def read(network: Trained) -> tuple[BlockFeatures, BlockFeatures]:
        return (
            block_features(network, train, runtime, labelled=True, shots=shots),
            block_features(network, clips, runtime, labelled=True),
        )

    ours = read(trained)
    fresh, missing = untrained(trained, train, runtime, shots=shots)
    none = read(fresh)
    return Comparison(ours, none, merged(*(each.skipped for each in (*ours, *none)), missing))


def untrained(
    trained: Trained, clips: ClipSet, runtime: Runtime, *, shots: int = 0
) -> tuple[Trained, list[Skipped]]:
    """Return the same network with fresh weights, its BatchNorm statistics measured on middle clips.

    Without them a random network's activations would grow from block to block, and the comparison
    would be with a straw man. Also return the videos that cannot be read.

    Raises:
        FastrotError: more videos cannot be read than data.broken_share tolerates.
    """
    torch.manual_seed(trained.config.seed)
    network = trained.task.network(trained.config.model)
    runtime.place(network)
    fresh = Trained(network, trained.task, trained.config)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = None  # a plain average over the batches
    reading = Reading(fresh, replace(clips, per_video=1, quiet=True), runtime, shots=shots)
    network.train()
    with torch.no_grad():
        for _, loaded in reading.batches("measure"):
            with runtime.autocast():
                network(fresh.task.upright(loaded, runtime.dtype))
    skipped = reading.finish(reading.zeros()).skipped
    runtime.share_buffers(network)
    return fresh, skipped
