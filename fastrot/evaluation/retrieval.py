"""Nearest-neighbour retrieval: do videos of an action lie close together in feature space?"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fastrot.data.selection import select_videos
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.features import BLOCKS, BlockFeatures, block_features, untrained
from fastrot.evaluation.trained import Protocol, Trained, protocol
from fastrot.evaluation.unreadable import Skipped, merged, skipped_lines
from pipelines.errors import UsageError
from pipelines.store.reading import Store

K = (1, 5, 10, 20, 50)
QUERIES_AT_ONCE = 1024  # bounds the memory of their similarities to every training video


@dataclass(frozen=True)
class RetrievalResult:
    """Hits at each k in 0..1: queries with a video of their class among their k nearest.

    ``trained`` are the network's, ``random`` those of the same network before any training.
    ``skipped`` videos could not be read, and count nowhere.
    """

    k: list[int]
    trained: list[float]
    random: list[float]
    block: str
    train_videos: int
    protocol: Protocol
    skipped: list[Skipped] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return what to print, the protocol included."""
        rows = zip(self.k, self.trained, self.random, strict=True)
        return [
            *(
                f"hit at {k:<4} {100 * ours:5.1f} %  random {100 * none:5.1f} %"
                for k, ours, none in rows
            ),
            f"protocol: nearest of {self.train_videos} videos by cosine similarity of {self.block}, "
            f"queried by {self.protocol}",
            *skipped_lines(self.skipped),
        ]


def hits_at(
    gallery: Tensor,
    gallery_labels: Tensor,
    queries: Tensor,
    query_labels: Tensor,
    ks: Sequence[int],
) -> list[float]:
    """Return the share of queries with one of their class among their k most similar, for each k.

    Args:
        gallery: (N, D) features.
        gallery_labels: (N,) int64.
        queries: (M, D) features, compared by cosine similarity in float64.
        query_labels: (M,) int64.
        ks: neighbours; more than N count as N.
    """
    among = F.normalize(gallery.double(), dim=1)
    most = min(max(ks), len(gallery))
    nearest = torch.cat(
        [
            (F.normalize(some, dim=1) @ among.T).topk(most, dim=1).indices
            for some in torch.split(queries.double(), QUERIES_AT_ONCE)
        ]
    )
    same = gallery_labels[nearest] == query_labels[:, None]
    return [same[:, :k].any(dim=1).double().mean().item() for k in ks]


def retrieve(
    trained: Trained,
    store: Store,
    train_split: str,
    test_split: str,
    runtime: Runtime,
    *,
    block: str = "layer4",
    ks: Sequence[int] = K,
    clips_per_video: int = 10,
    batch: int = 16,
    quiet: bool = False,
) -> RetrievalResult:
    """Look up each test video's nearest training videos, by a frozen network and by it untrained.

    A video's features are a block's activations, averaged over space, time and its uniform clips.

    Args:
        trained: a network of any task.
        store: labelled videos.
        train_split: the videos that are found.
        test_split: the videos that query.
        runtime: the processes share the extraction, and each gets the whole result.
        block: one of the five convolution blocks.
        ks: how many neighbours to look at.
        clips_per_video: uniform clips whose features are averaged.
        batch: clips at a time and process.
        quiet: show no progress.

    Raises:
        UsageError: there is no such block, the store lacks a split or labels, or a video is in both splits.
        FastrotError: more videos cannot be read than data.broken_share tolerates.
    """
    if block not in BLOCKS:
        raise UsageError(f"there is no block {block!r}: the blocks are {', '.join(BLOCKS)}")
    gallery, queries = (
        select_videos(store, split, labelled=True, shots=0, seed=0)
        for split in (train_split, test_split)
    )
    both = np.intersect1d(gallery, queries)
    if len(both):
        raise UsageError(
            f"{len(both)} videos are in both splits, {train_split!r} and {test_split!r}, such as "
            f"{store.name(int(both[0]))}: each would find itself. Choose two without common videos"
        )
    labels = [torch.from_numpy(store.labels[videos]) for videos in (gallery, queries)]

    def read(of: Trained) -> list[BlockFeatures]:
        return [
            block_features(
                of,
                store,
                videos,
                runtime,
                clips_per_video=clips_per_video,
                batch=batch,
                quiet=quiet,
            )
            for videos in (gallery, queries)
        ]

    def hits(features: list[BlockFeatures]) -> list[float]:
        found, asked = (each.blocks[BLOCKS.index(block)] for each in features)
        known, wanted = (each[of.kept] for each, of in zip(labels, features, strict=True))
        return hits_at(found, known, asked, wanted, ks)

    unmeasured: list[Skipped] = []
    ours = read(trained)
    none = read(untrained(trained, store, gallery, runtime, batch=batch, skipped=unmeasured))
    counted = queries[ours[1].kept]
    measured = protocol(trained, store, test_split, counted, clips_per_video=clips_per_video)
    return RetrievalResult(
        k=list(ks),
        trained=hits(ours),
        random=hits(none),
        block=block,
        train_videos=len(ours[0].kept),
        protocol=replace(measured, weights="frozen features"),
        skipped=merged(*(each.skipped for each in (*ours, *none)), unmeasured),
    )
