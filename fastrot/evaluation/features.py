"""Frozen features of videos, block by block, of a trained network and of the same one untrained."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fastrot.data.selection import Ints
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.trained import Trained, each_batch, evaluating
from fastrot.evaluation.unreadable import Skipped, settle
from fastrot.models.network import Network
from pipelines.loading.replacement import Replaced
from pipelines.store.reading import Store

BLOCKS = ("conv1", "layer1", "layer2", "layer3", "layer4")
WIDTHS = (1, 1, 2, 4, 8)  # channels of each block, in the network's width


@dataclass(frozen=True)
class BlockFeatures:
    """Features of the videos that can be read.

    Attributes:
        blocks: five (videos, channels) float32 tensors on the CPU.
        kept: the rows' places among the videos asked for, ascending int64.
        skipped: the videos that cannot be read.
    """

    blocks: list[Tensor]
    kept: Ints
    skipped: list[Skipped]


def block_features(
    trained: Trained,
    store: Store,
    videos: Ints,
    runtime: Runtime,
    *,
    clips_per_video: int = 1,
    batch: int = 16,
    quiet: bool = False,
) -> BlockFeatures:
    """Return each block's activations, averaged over space, time and a video's clips.

    Unrotated uniform centre clips, BatchNorm in eval mode. Every process gets all rows.

    Raises:
        FastrotError: more videos cannot be read than data.broken_share tolerates.
    """
    unread: list[Replaced] = []
    width = trained.config.model.width
    sums = [torch.zeros(len(videos), width * factor, device=runtime.device) for factor in WIDTHS]
    with evaluating(trained.network):
        for loaded in each_batch(
            trained,
            store,
            videos,
            runtime,
            clips_per_video=clips_per_video,
            batch=batch,
            what="extract features",
            quiet=quiet,
            unread=unread,
        ):
            inputs = trained.task.upright(loaded, runtime.dtype)
            with runtime.autocast():
                outputs = trained.network.stages(inputs)
            rows = torch.from_numpy(loaded.samples // clips_per_video).to(runtime.device)
            for total, block in zip(sums, outputs, strict=True):
                total.index_add_(0, rows, block.float().mean(dim=(2, 3, 4)))
    kept, skipped = settle(
        unread,
        runtime,
        share=trained.config.data.broken_share,
        videos=len(videos),
        clips_per_video=clips_per_video,
    )
    blocks = [runtime.all_sum(total).cpu()[kept] / clips_per_video for total in sums]
    return BlockFeatures(blocks, kept, skipped)


def untrained(
    trained: Trained,
    store: Store,
    videos: Ints,
    runtime: Runtime,
    *,
    batch: int,
    skipped: list[Skipped] | None = None,
) -> Trained:
    """Return the same network with fresh weights, its BatchNorm statistics measured on ``videos``.

    Without them a random network's activations would grow from block to block, and the comparison
    would be with a straw man. Videos that cannot be read are added to ``skipped``.

    Raises:
        FastrotError: more videos cannot be read than data.broken_share tolerates.
    """
    torch.manual_seed(trained.config.seed)
    network = trained.task.network(trained.config.model)
    runtime.place(network)
    fresh = Trained(network, trained.task, trained.config)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm3d)]
    for norm in norms:
        norm.momentum = None  # a plain average over the batches
    unread = _measure(fresh, network, store, videos, runtime, batch)
    share = trained.config.data.broken_share
    _, missing = settle(unread, runtime, share=share, videos=len(videos), clips_per_video=1)
    if skipped is not None:
        skipped += missing
    runtime.share_buffers(network)
    return fresh


def _measure(
    fresh: Trained, network: Network, store: Store, videos: Ints, runtime: Runtime, batch: int
) -> list[Replaced]:
    """Let BatchNorm see the videos' middle clips; return those that cannot be read."""
    unread: list[Replaced] = []
    network.train()
    with torch.no_grad():
        for loaded in each_batch(
            fresh,
            store,
            videos,
            runtime,
            clips_per_video=1,
            batch=batch,
            what="measure",
            quiet=True,
            unread=unread,
        ):
            with runtime.autocast():
                network(fresh.task.upright(loaded, runtime.dtype))
    return unread
