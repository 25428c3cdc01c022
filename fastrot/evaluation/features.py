"""Frozen features of videos per block, of a trained network and of the same network untrained."""

import copy
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
from fastrot.tasks import SpeedTask
from pipelines.errors import UsageError

BLOCKS = ("conv1", "layer1", "layer2", "layer3", "layer4")
MEASURED = "BatchNorm statistics of both networks measured on the training split"
WIDTHS = (1, 1, 2, 4, 8)  # channels of each block, as multiples of the network's width


def block_index(block: str) -> int:
    """Return the index of a block in ``BLOCKS``.

    Raises:
        UsageError: There is no such block.
    """
    if block not in BLOCKS:
        raise UsageError(f"unknown block {block!r}: choose one of {', '.join(BLOCKS)}")
    return BLOCKS.index(block)


@dataclass(frozen=True)
class BlockFeatures:
    """Features of the readable videos.

    Attributes:
        blocks: Five (N, channels) float32 tensors on the CPU.
        videos: The N indices of the rows in the store, ascending int64.
        labels: (N,) int64, -1 for unlabelled videos.
        protocol: How they were computed.
        skipped: The unreadable videos.
    """

    blocks: Sequence[Tensor]
    videos: Ints
    labels: Tensor
    protocol: Protocol
    skipped: list[Skipped]


def block_features(
    trained: Trained, clips: ClipSet, runtime: Runtime, *, labelled: bool = False, shots: int = 0
) -> BlockFeatures:
    """Return the activations of each block, averaged over space, time and the clips of a video.

    The clips are not rotated, and BatchNorm is in eval mode. Every process gets all rows.

    Raises:
        UsageError: The store lacks the split or a label, or a class has too few videos.
        FastrotError: More videos are unreadable than ``data.broken_share`` tolerates.
    """
    reading = Reading(trained, clips, runtime, labelled=labelled, shots=shots)
    widths = [trained.config.model.width * factor for factor in WIDTHS]
    sums = reading.zeros(sum(widths))
    with evaluating(trained.network):
        for rows, loaded in reading.batches("extract features"):
            inputs = trained.task.upright(loaded, runtime.dtype)
            padded = reading.padded(inputs)
            with runtime.autocast():
                outputs = trained.network.stages(padded)
            means = [block[: len(inputs)].float().mean(dim=(2, 3, 4)) for block in outputs]
            sums.index_add_(0, rows, torch.cat(means, dim=1))
    totals = reading.finish(sums)
    weights = "frozen features"
    if isinstance(trained.task, SpeedTask):
        weights += f" of a network for {trained.task.answer}"
    return BlockFeatures(
        blocks=torch.split(totals.sums / clips.per_video, widths, dim=1),
        videos=totals.videos,
        labels=torch.from_numpy(clips.store.labels[totals.videos]),
        protocol=replace(totals.protocol, weights=weights),
        skipped=totals.skipped,
    )


@dataclass(frozen=True)
class Comparison:
    """Labelled features of two splits, from a frozen network and from the same network untrained.

    Attributes:
        trained: Features of the training and the test split.
        random: The same for the untrained network.
        skipped: The videos that were unreadable in any pass.
    """

    trained: tuple[BlockFeatures, BlockFeatures]
    random: tuple[BlockFeatures, BlockFeatures]
    skipped: list[Skipped]


def compare_features(
    trained: Trained, clips: ClipSet, train_split: str, runtime: Runtime, *, shots: int = 0
) -> Comparison:
    """Return the features of two splits, from a network and from the same network untrained.

    The BatchNorm statistics of both are measured on the upright clips of the training split, so that neither
    is favoured: those of a pre-trained network are of rotated clips of other videos.

    Args:
        trained: A network of any task.
        clips: The clips of the test split.
        train_split: The training split of the same store, read in the same way.
        runtime: The processes, which share the extraction.
        shots: Training videos per class; 0 for all.

    Raises:
        UsageError: The store lacks a split or a label, or a class has too few videos.
        FastrotError: More videos are unreadable than ``data.broken_share`` tolerates.
    """
    train = replace(clips, split=train_split)
    # Reject an invalid test split before the training split is read.
    select_videos(clips.store, clips.split, labelled=True, shots=0, seed=0)

    def read(network: Trained) -> tuple[BlockFeatures, BlockFeatures]:
        return (
            block_features(network, train, runtime, labelled=True, shots=shots),
            block_features(network, clips, runtime, labelled=True),
        )

    mine, unread = remeasured(trained, train, runtime, shots=shots)
    ours = read(mine)
    fresh, missing = untrained(trained, train, runtime, shots=shots)
    none = read(fresh)
    return Comparison(
        ours, none, merged(*(each.skipped for each in (*ours, *none)), unread, missing)
    )


def untrained(
    trained: Trained, clips: ClipSet, runtime: Runtime, *, shots: int = 0
) -> tuple[Trained, list[Skipped]]:
    """Return the network randomly initialised, with BatchNorm statistics measured on the middle clips.

    Without these statistics, the activations of a random network would grow from block to block, and the
    comparison would be unfair. Also returns the unreadable videos.

    Raises:
        FastrotError: More videos are unreadable than ``data.broken_share`` tolerates.
    """
    torch.manual_seed(trained.config.seed)
    network = trained.task.network(trained.config.model)
    runtime.place(network)
    fresh = Trained(network, trained.task, trained.config)
    return fresh, _measure_statistics(fresh, clips, runtime, shots)


def remeasured(
    trained: Trained, clips: ClipSet, runtime: Runtime, *, shots: int = 0
) -> tuple[Trained, list[Skipped]]:
    """Return a copy of the network with BatchNorm statistics measured on the middle clips.

    Frozen blocks are measured too. Also returns the unreadable videos.

    Raises:
        FastrotError: More videos are unreadable than ``data.broken_share`` tolerates.
    """
    mine = replace(trained, network=copy.deepcopy(trained.network))
    return mine, _measure_statistics(mine, clips, runtime, shots)


def _measure_statistics(
    trained: Trained, clips: ClipSet, runtime: Runtime, shots: int
) -> list[Skipped]:
    """Measure the statistics; every process reads all clips, so that their number changes no result."""
    network = trained.network
    alone = replace(runtime, rank=0, world=1, control=None, calls=None)
    reading = Reading(trained, replace(clips, per_video=1, quiet=True), alone, shots=shots)
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.reset_running_stats()
            module.momentum = None  # a plain average over the batches
            module.train()
    with torch.no_grad():
        for _, loaded in reading.batches("measure"):
            with runtime.autocast():
                network(trained.task.upright(loaded, runtime.dtype))
    network.eval()
    skipped = reading.finish(reading.zeros()).skipped
    runtime.share_buffers(network)
    return skipped
